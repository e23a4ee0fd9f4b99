"""Using a page as people do: waiting until it stands still, looking at what was typed."""

from __future__ import annotations

WAIT = 180_000
"""Milliseconds: a loaded machine of two cores takes its time."""
_AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"


def come_to_rest(page, plot=None):
    """Wait until the app computes nothing, the page's words and the plot stay as they are."""
    before = None
    for _ in range(WAIT // 500):
        seen = page.locator("body").inner_text()
        if plot is not None:
            plot.scroll_into_view_if_needed()
            seen = plot.evaluate(
                "plot => plot._fullData?.length && plot.getBoundingClientRect().toJSON()"
            )
        if not page.locator(_AT_REST).count():
            seen = None
        if seen and seen == before:
            return
        before = seen
        page.wait_for_timeout(500)
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
