"""From nothing to a link and a file for a colleague, as a visitor does it."""

from __future__ import annotations

import io
import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlparse

import numpy as np
import pytest
from browsing import LONELIEST_POINT, WAIT, click_in, come_to_rest, new_tab, new_visitor, type_into
from PIL import Image

import emap_core as emap
from emap_core.decomposition.contrasts import prediction_contrast
from emap_core.runs import Run
from pages.shared.url_selection import view_key

pytestmark = pytest.mark.browser

VERDICT = re.compile(r"without them accuracy falls from .* by .* points \[")
FEW = 120
"""How many examples the runs have that take no part in what a page is asked for."""

CELL = """
(plot, cell) => {
    // Where the axes put a cell of the 2 × 2 on the screen, off its words.
    const layout = plot._fullLayout, trace = plot._fullData.find(trace => trace.customdata)
    const i = [...trace.customdata].indexOf(cell)
    const box = plot.getBoundingClientRect()
    return {
        x: box.left + layout.xaxis._offset + layout.xaxis.l2p(trace.x[i]),
        y: box.top + layout.yaxis._offset + layout.yaxis.l2p(trace.y[i]),
    }
}
"""

AXES = """
plot => {
    const { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect()
    return {
        x: box.left + xaxis._offset, y: box.top + yaxis._offset,
        width: xaxis._length, height: yaxis._length, ranges: [xaxis.range, yaxis.range],
    }
}
"""


def key_of(page, name):
    return parse_qs(urlparse(page.url).query).get(name, [None])[0]


def sees(page, words, **how):
    from playwright.sync_api import expect

    expect(page.get_by_text(words, **how).first).to_be_visible(timeout=WAIT)


def entries(page):
    come_to_rest(page)
    return page.evaluate("history.length")


def goes_to(page, name):
    before = entries(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(re.compile(f"/{name.lower()}"))
    assert entries(page) == before + 1, "one Back leads one page back"


@pytest.fixture(scope="module")
def small_runs(app_url):
    """Run two models on the same few examples; return the URL and the run that interacts."""
    url, runs = app_url
    first, _ = (
        emap.compute(f"demo:{model}", "demo:easy-vqa", data_args={"limit": FEW}, out=runs / model)
        for model in ("concat", "additive")
    )
    return url, first


def test_a_link_to_a_page_opens_the_app_on_a_server_that_nobody_has_used(new_app, browser_page):
    from playwright.sync_api import expect

    page = browser_page
    page.goto(f"{new_app[0]}/modes")
    expect(page.get_by_text("There is no finished run yet.")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("link", name="Overview")).to_be_visible()


def test_the_demo_button_leads_to_a_verdict(new_app, browser_page):
    url, runs = new_app
    page = browser_page

    # Start: a button and ten seconds.
    page.goto(url)
    before = entries(page)
    page.get_by_role("button", name="Run the demo").click()
    page.wait_for_url(re.compile(r"/overview\?run="))
    assert entries(page) == before + 1

    # Overview: the verdict, on one screen.
    sees(page, VERDICT)
    run = Run.load(runs / key_of(page, "run"))
    assert run.manifest["n_pairs_evaluated"] == 107 * 1000
    is_on_one_screen(page)


def test_a_verdict_leads_to_the_examples_behind_it(small_runs, browser_page):
    from playwright.sync_api import expect

    url, run = small_runs
    page = browser_page
    page.goto(f"{url}/overview?run={run.path.name}")

    # Overview: right and wrong with and without interactions.
    sees(page, VERDICT)
    cells = page.locator(".st-key-overview-cells .js-plotly-plot").first
    link = page.get_by_role("link", name=re.compile("right only with interactions"))
    count = link.inner_text(timeout=WAIT).strip().split()[-5]
    before = entries(page)
    click_in(page, cells, CELL, r"/examples\?", "helped")
    assert key_of(page, "view") == "show.helped"

    # Examples: those of the cell, by keyboard, and what the model makes of one.
    sees(page, re.compile(f"^1 of {count} "))
    assert entries(page) == before + 1
    page.keyboard.press("ArrowRight")
    sees(page, re.compile(f"^2 of {count} "))
    example = run.ids.index(key_of(page, "example"))
    text = run.texts[run.decomposition.row_index[example]]
    answer = run.classes[run.labels[example]]
    sees(page, re.compile(f"The model answers “{answer}”, which is right. Without interactions"))
    sees(page, text, exact=True)
    waterfall = page.locator(".st-key-examples-waterfall .js-plotly-plot")
    drawn = re.compile("mean.*text.*image.*EMAP.*interaction.*logit")
    expect(waterfall.filter(has_text=answer).filter(has_text=drawn).first).to_be_visible(
        timeout=WAIT
    )
    sees(page, "The same text, other images")
    expect(page.get_by_role("img", name=re.compile(r"image \d+ \S+ [\d.]+%"))).to_have_count(8)


def test_a_figure_is_saved_in_both_forms_with_one_click(small_runs, browser_page, tmp_path):
    url, run = small_runs
    page = browser_page
    page.goto(f"{url}/overview?run={run.path.name}")
    come_to_rest(page)
    figure = page.locator(".st-key-overview-gap .js-plotly-plot")
    size = figure.evaluate("plot => [plot._fullLayout.width, plot._fullLayout.height]")
    for form in ("PNG", "SVG", "PNG"):
        with page.expect_download() as download:
            tools = page.locator(".st-key-overview-gap-tools")
            tools.get_by_role("button", name=f"Save this figure as {form}").click()
        name = f"concat-on-easy-vqa-overview-gap.{form.lower()}"
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / f"gap.{form.lower()}")
    with Image.open(tmp_path / "gap.png") as picture:
        assert picture.size == (2 * size[0], 2 * size[1])
    drawing = (tmp_path / "gap.svg").read_text(encoding="utf-8")
    assert drawing.startswith("<svg")
    assert "Accuracy" in drawing


def test_an_example_leads_to_any_other_pair_and_to_what_interacts(small_runs, browser_page):
    url, run = small_runs
    page = browser_page
    page.goto(f"{url}/examples?run={run.path.name}&example={run.ids[7]}")
    text = run.texts[run.decomposition.row_index[7]]
    image = int(run.decomposition.column_index[7])
    sees(page, text, exact=True)
    saves_picture(page, run, image)

    # Recombine: the example's pair, then the same text with another image.
    answer = run.classes[run.labels[7]]
    page.get_by_role("link", name="Try any other text or image").click()
    sees(page, f"“{text}” with image {image + 1} (in the data): the model answers {answer}")
    come_to_rest(page)
    other = 4 if image != 4 else 5
    field = page.get_by_label(re.compile("^Another image"))
    type_into(page, field, str(other + 1))
    sees(page, f"“{text}” with image {other + 1} (")

    # Modes: how much the first ones explain, with texts and pictures at both ends.
    page.get_by_role("link", name="What interacts with what, in a few modes").click()
    sees(page, re.compile(r"[Mm]ode 1 explains|first mode"))

    # Back and Forward lead from page to page.
    goes_to(page, "Contributions")
    page.go_back()
    page.wait_for_url(re.compile("/modes"))
    page.go_forward()
    page.wait_for_url(re.compile("/contributions"))


def test_a_point_is_an_example_and_a_lasso_are_many(small_runs, browser_page):
    from playwright.sync_api import expect

    url, run = small_runs
    page = browser_page
    page.goto(f"{url}/contributions?run={run.path.name}")
    plot = page.locator(".st-key-contributions-chart .js-plotly-plot").first
    expect(plot.locator("canvas").first).to_be_visible(timeout=WAIT)
    ids = click_in(page, plot, LONELIEST_POINT, "[?&]example=")["ids"]
    told = plot.locator(".hoverlayer").text_content()
    assert not re.search(r"(^|[\s,])-[\d.]", told), "numbers have one minus sign"
    chosen = key_of(page, "example")
    assert chosen in ids
    text = run.texts[run.decomposition.row_index[run.ids.index(chosen)]]
    sees(page, text, exact=True)
    inside = zooms_in_and_draws_a_lasso(page, plot, run)
    page.reload()
    sees(page, f"{inside} of {FEW}: chosen by hand")
    page.get_by_role("button", name="Show all").click()
    sees(page, f"{FEW} of {FEW}: all examples")


def test_a_search_finds_examples_and_becomes_a_slice(small_runs, browser_page):
    from playwright.sync_api import expect

    url, run = small_runs
    page = browser_page
    page.goto(f"{url}/contributions?run={run.path.name}")
    chosen = run.ids[7]
    find = page.get_by_label("Find an example")
    type_into(page, find, chosen)
    sees(page, f"{sum(chosen in name for name in run.ids)} of {FEW}")
    type_into(page, find, "circle")
    inside = n_about_circles(run)
    sees(page, f"{inside} of {FEW}")

    # A filter becomes a slice, and is kept from page to page.
    name = page.get_by_label(re.compile("^Name for these"))
    type_into(page, name, "about circles")
    save = page.get_by_role("button", name="Save as a slice")
    # While the page is drawn anew, the old button stands beside the new one.
    expect(save).to_have_count(1, timeout=WAIT)
    save.click()
    compared = page.locator(".st-key-slices-compared .js-plotly-plot")
    row = compared.filter(has_text=f"about circles (N = {inside})")
    expect(row.first).to_be_visible(timeout=WAIT)
    goes_to(page, "Examples")
    sees(page, re.compile(f"{inside} of {FEW}"))


def test_words_are_asked_for_their_regions_and_a_link_shows_the_same(small_runs, browser_page):
    from playwright.sync_api import expect

    url, run = small_runs
    page = browser_page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chosen = run.ids[7]
    text = run.texts[run.decomposition.row_index[7]]
    view = view_key(words="circle")
    page.goto(
        f"{url}/examples?{urlencode({'run': run.path.name, 'example': chosen, 'view': view})}"
    )
    found_by = re.compile(f"{n_about_circles(run)} of {FEW}")
    sees(page, found_by)

    # Which words with which regions: the answer lies on the shape, and a word shows its regions.
    page.get_by_role("button", name="Find out").click()
    sees(page, "The strongest pairs, in logits:")
    found = run.probe("attribution", example=chosen)
    assert not found.nothing
    word, region = found.strongest(1)[0]
    sees(page, found.sentence.split(", beyond")[0])
    assert is_on_the_shape(run, chosen, found.boxes[region])
    come_to_rest(page)
    other_word = (word + 1) % len(found.words)
    page.locator(".st-key-attribution-word button").nth(other_word).click()
    expect(page).to_have_url(re.compile(f"pair\\.\\d+%3A{other_word}%3A"), timeout=WAIT)

    # Whoever gets the link sees the same example among the same ones.
    page.get_by_role("button", name="Copy link").click()
    sees(page, "Link copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert key_of(page, "example") == chosen
    with new_visitor(page.context.browser) as visitor, new_tab(visitor) as other:
        other.goto(copied)
        sees(other, text, exact=True)
        sees(other, chosen, exact=True)
        sees(other, found_by)


def test_two_models_are_compared_and_one_is_reported_in_a_file(small_runs, browser_page, tmp_path):
    url, run = small_runs
    page = browser_page
    page.goto(f"{url}/compare?run={run.path.name}")
    sees(page, re.compile("1 of 2 runs uses both sides measurably, by accuracy"))
    goes_to(page, "Report")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the report").click()
    download.value.save_as(tmp_path / "report.html")
    opens_from_disk(page.context.browser, tmp_path / "report.html")


def n_about_circles(run):
    examples = run.examples()
    return int((examples["text"].str.contains("circle") | (examples["label"] == "circle")).sum())


def is_on_one_screen(page):
    """See the answer on one screen, to the next step."""
    page.set_viewport_size({"width": 1440, "height": 900})
    come_to_rest(page)
    step = page.get_by_role("link", name=re.compile("^.*See the examples where interactions"))
    assert step.bounding_box()["y"] < 860
    page.set_viewport_size({"width": 1280, "height": 900})


def zooms_in_and_draws_a_lasso(page, plot, run):
    """Zoom in, and draw around most of what is seen then; return how many points that holds."""
    come_to_rest(page, plot)
    plot.hover()
    plot.locator('.modebar-btn[data-title="Zoom in"]').click()
    page.get_by_role("radio", name="draws a lasso").check(force=True)
    come_to_rest(page, plot)
    axes = plot.evaluate(AXES)
    shares = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.3)]
    for i, (across, down) in enumerate(shares):
        x, y = axes["x"] + across * axes["width"], axes["y"] + down * axes["height"]
        page.mouse.move(x, y, steps=3)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    said = page.get_by_text(re.compile(rf"^\d+ of {FEW}: chosen by hand"))
    count = int(said.inner_text(timeout=WAIT).split()[0])
    come_to_rest(page)
    assert plot.evaluate(AXES)["ranges"] == axes["ranges"], "it is still zoomed in"
    parts = prediction_contrast(run.shares)
    sides = zip(parts.effects, axes["ranges"], strict=True)
    across, upwards = ((values - low) / (high - low) for values, (low, high) in sides)

    def within(pixels):
        x, y = pixels / axes["width"], pixels / axes["height"]
        held = (0.2 - x < across) & (across < 0.8 + x) & (0.2 - y < upwards) & (upwards < 0.8 + y)
        return held.sum()

    # A pixel or two are nobody's.
    assert FEW / 30 < within(-2) <= count <= within(2) < 0.95 * FEW
    return count


def saves_picture(page, run, image):
    """Look at the picture of an example at its full size, and save it."""
    come_to_rest(page)
    page.locator("[class*=st-key-picture-]").get_by_role("button", name="Zoom in").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the image").click()
    assert download.value.suggested_filename == f"concat-on-easy-vqa-image-{image + 1}.jpg"
    assert Path(download.value.path()).read_bytes() == run.picture(image)
    page.keyboard.press("Escape")


def is_on_the_shape(run, example, box):
    """Say whether a region of an example's image holds some of its one shape."""
    image = run.thumbnail(int(run.decomposition.column_index[run.ids.index(example)]))
    pixels = np.asarray(Image.open(io.BytesIO(image)), dtype=int)
    shape = np.abs(pixels - pixels[0, 0]).sum(axis=2) > 60
    left, top, right, lower = (len(pixels) * box).round().astype(int)
    return shape[top:lower, left:right].any()


def opens_from_disk(browser, path):
    from playwright.sync_api import expect

    report = browser.new_context(offline=True).new_page()
    wrong = []
    report.on("pageerror", lambda error: wrong.append(str(error)))
    report.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    report.goto(path.as_uri())
    expect(report.locator(".verdict")).to_contain_text("without them accuracy falls")
    expect(report.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    figures = report.locator("figure > div > .plotly-graph-div")
    expect(report.locator("figure .js-plotly-plot")).to_have_count(figures.count())
    assert figures.count() >= 6
    with report.expect_download() as download:
        report.get_by_role("button", name="SVG").first.click()
    assert download.value.suggested_filename == "concat-on-easy-vqa-gap.svg"
    assert not wrong
