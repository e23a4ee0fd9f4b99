"""What only a question, a written and a spoken digit answer together, as a visitor sees it."""

from __future__ import annotations

import re

import pytest
from browsing import WAIT, come_to_rest, new_tab

import emap_core as emap

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def walked(app_url, visitor):
    """The page of a visitor of a run of the demo of three sides, and the run."""
    url, runs = app_url
    settings = {"cluster": "written+spoken", "n_resamples": 100}
    run = emap.compute("demo:digits-joint", "demo:digits", **settings, out=runs / "digits")
    with new_tab(visitor) as page:
        page.goto(f"{url}/overview?run={run.id}")
        yield page, run


def goes_to(page, name):
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(re.compile(f"/{name.lower()}"))


def test_the_demo_of_three_says_what_takes_all_of_them(walked):
    from playwright.sync_api import expect

    page, run = walked
    share = run.shares.pooled_terms["question", "written", "spoken"]
    said = re.compile(rf"^{100 * share:.1f}% \[.*needs all three together")
    expect(page.get_by_text(said)).to_be_visible(timeout=WAIT)
    bars = page.locator(".st-key-overview-shares .js-plotly-plot")
    expect(bars.get_by_text("all three")).to_be_visible(timeout=WAIT)
    for row in ("Pairs of sides", "Question only", "Written only", "Spoken only"):
        expect(page.get_by_role("cell", name=row)).to_be_visible()
    expect(page.get_by_role("link", name="Measures")).to_have_count(0)


def test_an_example_is_read_seen_and_heard_and_built_up_from_every_set(walked):
    from playwright.sync_api import expect

    page, _ = walked
    goes_to(page, "Examples")
    expect(page.get_by_test_id("stAudio")).to_have_count(1, timeout=WAIT)
    alt = re.compile("^Written of example ")
    expect(page.get_by_role("img", name=alt).first).to_be_visible()
    waterfall = page.locator(".st-key-examples-waterfall .js-plotly-plot")
    for bar in ("question", "written", "spoken", "question × spoken", "all three"):
        expect(waterfall.get_by_text(bar, exact=True)).to_be_visible()


def test_a_box_chooses_the_side_of_an_axis(walked):
    from playwright.sync_api import expect

    page, _ = walked
    goes_to(page, "Contributions")
    scatter = page.locator(".st-key-contributions-chart .js-plotly-plot")
    expect(scatter.get_by_text("what the question item adds to")).to_be_visible(timeout=WAIT)
    # A choice that is opened while the page draws would be closed again.
    come_to_rest(page)
    page.get_by_role("combobox", name="Across").click()
    page.get_by_role("option", name="spoken").click()
    page.wait_for_url(re.compile(r"first\.spoken"))
    expect(scatter.get_by_text("what the spoken item adds to")).to_be_visible(timeout=WAIT)
