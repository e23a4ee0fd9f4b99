"""What a visitor is told who types a model or data that cannot be."""

from __future__ import annotations

import pytest
from browsing import come_to_rest

pytestmark = pytest.mark.browser

MISTAKES = [
    ("mistaken:wrong_shape", "demo:easy-vqa", "shape (4,) for 4 pairs"),
    ("mistaken:not_a_number", "demo:easy-vqa", "returned nan for the text"),
    ("demo:concat", "mistaken:one_example", "1 example; recombining"),
    ("demo:concat", "mistaken:unknown_class", "the label 'perhaps', which is not a class"),
]


def choose(page, label, spec):
    box = page.get_by_role("combobox", name=label, exact=True)
    box.click()
    box.fill(spec)
    box.press("Enter")
    # A click while the page is still being drawn anew would be lost.
    come_to_rest(page)


def test_a_model_or_data_that_cannot_be_is_told_beside_the_button(app_url, browser_page):
    url, runs = app_url
    page, before = browser_page, set(runs.glob("*/run.json"))
    page.goto(f"{url}/run")
    for model, data, message in MISTAKES:
        choose(page, "Model", model)
        choose(page, "Data", data)
        page.get_by_role("button", name="See what it costs").click()
        alert = page.get_by_test_id("stAlert").filter(has_text=message)
        alert.wait_for()
        said = alert.get_by_test_id("stMarkdownContainer").inner_text()
        assert "\n" not in said.strip()
        assert page.get_by_role("button", name="Start", exact=True).count() == 0
    assert set(runs.glob("*/run.json")) == before


def test_how_far_a_run_is_appears_before_the_eyes_of_whoever_starts_it(app_url, browser_page):
    from playwright.sync_api import expect

    page = browser_page
    page.goto(f"{app_url[0]}/run")
    choose(page, "Model", "demo:self-attention")
    choose(page, "Data", "demo:easy-vqa")
    page.get_by_role("button", name="See what it costs").click()
    page.get_by_role("button", name="Start", exact=True).click()
    # The whole grid takes seconds: a bar first, then word of its end in the same place.
    told = page.get_by_test_id("stProgress").or_(page.get_by_text("This run is finished."))
    expect(page.get_by_role("button", name="Start", exact=True)).to_have_count(0)
    expect(told.first).to_be_in_viewport(ratio=1)
