"""From nothing to the text of one example, as a visitor does it."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlparse

import pytest

from emap_core.runs import Run

pytestmark = pytest.mark.browser

LONELIEST_POINT = """
plot => {
    // The point of the scatter farthest from all others, and where its axes put it on the screen.
    const layout = plot._fullLayout, x = layout.xaxis, y = layout.yaxis
    const seen = new Map()
    for (const trace of plot._fullData) {
        if (trace.type !== "scattergl") continue
        for (let i = 0; i < trace.x.length; i++) {
            const at = [x._offset + x.l2p(trace.x[i]), y._offset + y.l2p(trace.y[i])]
            const key = at.map(value => value.toFixed(1)).join(" ")
            if (!seen.has(key)) seen.set(key, { at, ids: [] })
            seen.get(key).ids.push(String(trace.customdata[i]))
        }
    }
    const points = [...seen.values()].filter(({ at }) =>
        at[0] > x._offset + 5 && at[0] < x._offset + x._length - 5 &&
        at[1] > y._offset + 5 && at[1] < y._offset + y._length - 5)
    const distance = (a, b) => Math.hypot(a.at[0] - b.at[0], a.at[1] - b.at[1])
    let best = null, most = -1
    for (const point of points) {
        const nearest = Math.min(...points.filter(p => p !== point).map(p => distance(p, point)))
        if (nearest > most) { most = nearest; best = point }
    }
    const box = plot.getBoundingClientRect()
    return { x: box.left + best.at[0], y: box.top + best.at[1], ids: best.ids }
}
"""


WAIT = 180_000


def click_a_lonely_point(page, plot) -> list[str]:
    """Click until the URL names an example; return the ids of the examples that lie there."""
    from playwright.sync_api import TimeoutError as TooLong

    for _ in range(6):
        come_to_rest(page, plot)
        point = plot.evaluate(LONELIEST_POINT)
        # As a hand does it: come from elsewhere, rest on the point, click.
        page.mouse.move(point["x"] - 40, point["y"] - 40)
        page.mouse.move(point["x"], point["y"], steps=5)
        page.wait_for_timeout(700)
        page.mouse.click(point["x"], point["y"], delay=50)
        try:
            page.wait_for_url(re.compile(r"[?&]example="), timeout=WAIT / 6)
        except TooLong:
            continue
        return point["ids"]
    raise AssertionError("six clicks on points chose no example")


def come_to_rest(page, plot):
    """Wait until the app computes nothing and the plot stays where it is."""
    before = None
    for _ in range(WAIT // 1000):
        plot.scroll_into_view_if_needed()
        box = plot.evaluate(
            "plot => plot._fullData?.length && plot.getBoundingClientRect().toJSON()"
        )
        if box and box == before and not page.locator("[data-testid=stStatusWidget]").count():
            return
        before = box
        page.wait_for_timeout(1000)


def test_a_link_to_a_page_opens_the_app_on_a_server_that_nobody_has_used(app_url, browser_page):
    from playwright.sync_api import expect

    url, _ = app_url
    browser_page.goto(f"{url}/modes")
    expect(browser_page.get_by_text("There is no finished run yet.")).to_be_visible(timeout=WAIT)
    expect(browser_page.get_by_role("link", name="Overview")).to_be_visible()


def test_from_the_demo_button_to_the_text_of_a_clicked_point(app_url, browser_page):
    from playwright.sync_api import expect

    url, runs = app_url
    page = browser_page
    page.goto(url)
    page.get_by_role("button", name="Run the demo").click()

    page.wait_for_url(re.compile(r"/overview\?run="))
    expect(page.get_by_text(re.compile("by .* points")).first).to_be_visible(timeout=WAIT)
    run_id = parse_qs(urlparse(page.url).query)["run"][0]
    run = Run.load(runs / run_id)
    assert run.manifest["n_pairs_evaluated"] == 107 * 1000

    page.get_by_role("link", name="Contributions").first.click()
    plot = page.locator(".js-plotly-plot").first
    expect(plot.locator("canvas").first).to_be_visible(timeout=WAIT)
    ids = click_a_lonely_point(page, plot)
    chosen = parse_qs(urlparse(page.url).query)["example"][0]
    assert chosen in ids
    text = run.texts[run.decomposition.text_index[run.ids.index(chosen)]]
    expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=WAIT)

    # Whoever gets the link sees the same example.
    other = page.context.browser.new_context().new_page()
    other.goto(page.url)
    expect(other.get_by_text(text, exact=True).first).to_be_visible(timeout=WAIT)
