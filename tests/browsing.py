"""Using a page as people do: waiting until it stands still, looking at what was typed."""

from __future__ import annotations

import re
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe

WAIT = 180_000
"""Milliseconds: a loaded machine of two cores takes its time."""
_LOOK_EVERY = 200
_AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"
_NOT_DRAWN = "[data-testid=stPlotlyChart]:not(:has(.main-svg)), [data-testid=stSkeleton]"


LONELIEST_POINT = """
plot => {
    // The point of the scatter farthest from all others, and where its axes put it on the screen.
    const layout = plot._fullLayout, x = layout.xaxis, y = layout.yaxis
    const seen = new Map()
    for (const trace of plot._fullData) {
        if (trace.type !== "scattergl" || !trace.customdata) continue
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


@contextmanager
def new_visitor(browser):
    """Give a visitor whose pages have 1280 by 900 pixels, and whom nothing has to entertain."""
    size = {"width": 1280, "height": 900}
    with browser.new_context(viewport=size, reduced_motion="reduce") as visitor:
        visitor.set_default_timeout(WAIT)
        yield visitor


@contextmanager
def new_tab(visitor):
    """Give an empty page of a visitor."""
    with visitor.new_page() as page:
        yield page


def come_to_rest(page, plot=None):
    """Wait until the app computes nothing, charts are drawn, and words and the plot stay."""
    before = None
    for _ in range(WAIT // _LOOK_EVERY):
        seen = page.locator("body").inner_text()
        if plot is not None:
            plot.scroll_into_view_if_needed()
            seen = plot.evaluate(
                "plot => plot._fullData?.length && plot.getBoundingClientRect().toJSON()"
            )
        if not page.locator(_AT_REST).count() or page.locator(_NOT_DRAWN).count():
            seen = None
        if seen and seen == before:
            return
        before = seen
        page.wait_for_timeout(_LOOK_EVERY)
    raise AssertionError("the page never came to rest")


def type_into(page, field, text):
    """Type and press Enter, again where a page that was drawn anew has lost it."""
    for _ in range(6):
        come_to_rest(page)
        field.fill(text)
        field.press("Enter")
        come_to_rest(page)
        if field.input_value() == text:
            return
    raise AssertionError(f"six times {text!r} did not stay")


def click_in(page, plot, place, address, settings=None) -> dict:
    """Click where `place` says until the URL is like `address`; return what `place` said."""
    from playwright.sync_api import TimeoutError as TooLong

    for _ in range(6):
        come_to_rest(page, plot)
        point = plot.evaluate(place, settings)
        # As a hand does it: come from elsewhere, rest on the point, click.
        page.mouse.move(point["x"] - 40, point["y"] - 40)
        page.mouse.move(point["x"], point["y"], steps=5)
        page.wait_for_timeout(700)
        page.mouse.click(point["x"], point["y"], delay=50)
        try:
            page.wait_for_url(re.compile(address), timeout=WAIT / 6)
        except TooLong:
            continue
        return point
    raise AssertionError(f"six clicks did not lead to {address}")


def hard_to_read(page):
    """Return what axe-core finds on a page, apart from Streamlit's list of pages and upload box."""
    not_ours = [["[data-testid=stSidebarNav]"], ["[data-testid=stFileUploader]"]]
    found = Axe().run(page, context={"exclude": not_ours}).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"]
    ]
