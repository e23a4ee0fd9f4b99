"""Texts and names that look like HTML, Markdown or commands are text on every page."""

from __future__ import annotations

import json
import re
import shutil
from urllib.parse import urlencode

import pytest
from browsing import come_to_rest, hard_to_read, new_tab
from samples import Staged, make_examples

import emap_core as emap
from emap_core.presentation.report import write_report
from emap_core.runs import Run
from pages import page_names
from pages.shared.url_selection import view_key

HTML = "<img src=x onerror=window.hacked=1>"
MARKDOWN = "**bold** [x](javascript:alert(1)) ![x](https://evil.example/x.png) `code` :red[red]"
COMMANDS = "$x^2$ :material/bomb: :bomb: </script><script>window.hacked=1</script>"
LONG = "Donaudampfschifffahrt" * 8
ORDER = "\u202egnp.exe\u2066 \x07"
CLASSES = (f"{HTML}", "**yes** $x^2$ :material/bomb:", f"[x](javascript:alert(1)) {ORDER}no")
PAGES = page_names(of_a_run=True)

RENDERED = """
() => [...document.querySelectorAll(
    ".katex, img[src='x'], img[src*=evil], [href^=javascript], a[href*=evil], [onerror], " +
    "[onmouseover], image[href*=evil], [style*='color: red']"
)].map(found => found.outerHTML.slice(0, 200)).concat(
    [...document.querySelectorAll("strong, b, em, code, [data-testid=stIconMaterial]")]
        .filter(found => ["bold", "yes", "code", "red", "bomb", "x"].includes(found.textContent))
        .map(found => found.outerHTML.slice(0, 200))
)
"""
TURNED = """
() => {
    // Characters that turn the order of letters around or are none, wherever a page shows them.
    const bad = /[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]/
    const texts = [document.title]
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walk.nextNode()) {
        const node = walk.currentNode
        if (!node.parentElement.closest("script, style")) texts.push(node.data)
    }
    for (const node of document.querySelectorAll("[data-testid=stSelectbox] input")) {
        texts.push(node.value)
    }
    for (const node of document.querySelectorAll("[alt], [title], [aria-label]")) {
        texts.push(node.getAttribute("alt"), node.title, node.getAttribute("aria-label"))
    }
    return texts.filter(text => text && bad.test(text))
}
"""

SKIPPED = """
() => {
    // Headings that stand more than one level below the one before.
    const headings = [...document.querySelectorAll("[data-testid=stMain] :is(h1, h2, h3, h4, h5)")]
    const level = heading => heading ? +heading.tagName[1] : 0
    return headings.filter((heading, i) => level(heading) > level(headings[i - 1]) + 1)
        .map(heading => heading.outerHTML.slice(0, 200))
}
"""
CUT = """
() => {
    // Links whose words are cut, and charts and choices that have to be moved sideways.
    const shown = ".stMain .stPageLink a, .stMain .stPageLink span, .stMain [role=radiogroup], "
        + ".st-key-mode-ends, .st-key-overview-gap"
    return [...document.querySelectorAll(shown)]
        .filter(one => one.clientWidth && one.scrollWidth > one.clientWidth + 1)
        .map(one => one.outerHTML.slice(0, 200))
}
"""
BEYOND = """
() => {
    // What makes a page wider than the screen.
    const main = document.querySelector("[data-testid=stMain]")
    if (main.scrollWidth <= main.clientWidth) return []
    return [...main.querySelectorAll("*")]
        .filter(one => one.getBoundingClientRect().right > main.clientWidth + 1)
        .map(one => one.outerHTML.slice(0, 200)).slice(-3)
}
"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def hostile(app_url):
    """Return the address of an app with two runs of such names, and one of them."""
    url, runs = app_url
    run = hostile_run(runs / "hostile")
    # Known before a page asks, and so in the other run, too.
    run.record()
    shutil.copytree(run.path, runs / "hostile-too")
    return url, run


@pytest.fixture(scope="module")
def page(visitor):
    """A page that all tests of this file use."""
    with new_tab(visitor) as page:
        yield page


@pytest.fixture
def loaded(page):
    """A list of what the page asks for, and of dialogs that it opens."""
    found = []

    def note_request(request):
        found.append(request.url)

    def note_dialog(dialog):
        found.append(f"javascript: {dialog.message}")
        dialog.dismiss()

    page.on("request", note_request)
    page.on("dialog", note_dialog)
    yield found
    page.remove_listener("request", note_request)
    page.remove_listener("dialog", note_dialog)


def hostile_run(path):
    class Hostile(Staged):
        classes = CLASSES
        fingerprint = path.name

    few = {"n": 24, "n_texts": 8, "n_images": 12}
    plainly = make_examples(**few)
    data = make_examples(
        **few,
        texts=[f"{text} {HTML} {MARKDOWN} {COMMANDS} {ORDER} {LONG}" for text in plainly.texts],
        labels=[CLASSES[label] for label in plainly.labels],
        classes=list(CLASSES),
        ids=[f"{i} {HTML} **e** $x^2$ :material/bomb: {ORDER}" for i in range(len(plainly))],
    )
    emap.compute(Hostile(), data, out=path, keep="grid")
    # A folder of runs may hold what others wrote.
    manifest = json.loads((path / "run.json").read_text())
    manifest["model"] = f"model {HTML} **bold** $x^2$ :material/bomb: {ORDER}"
    manifest["dataset"] = f"data {HTML} [x](javascript:alert(1)) {ORDER}"
    (path / "run.json").write_text(json.dumps(manifest))
    return Run.load(path)


def seen(page):
    """Return what the page says, without the marks that keep Streamlit from reading it."""
    return page.locator("body").inner_text().replace("\u2060", "")


def harm(page):
    """Return what on a page is more than text."""
    ran = page.evaluate("window.hacked")
    return page.evaluate(RENDERED) + page.evaluate(TURNED) + ([] if ran is None else [ran])


def went_elsewhere(loaded):
    return [url for url in loaded if re.search(r"evil|javascript|/x$", url)]


def keys_of(run):
    return urlencode(
        {
            "run": "hostile",
            "example": run.ids[7],
            "class": CLASSES[0],
            "view": view_key(words="<img", label=CLASSES[0], runs="hostile,hostile-too"),
        }
    )


@pytest.mark.parametrize("name", ["", "run", *PAGES])
def test_no_name_or_text_is_more_than_text_on_a_page(name, hostile, page, loaded):
    url, run = hostile
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto(f"{url}/{name}?{keys_of(run)}")
    come_to_rest(page)
    for plot in page.locator(".js-plotly-plot").all():
        plot.hover(force=True)
    said = seen(page)
    assert not harm(page) + page.evaluate(SKIPPED) + hard_to_read(page)
    assert "Error" not in said, said
    if name != "run":
        assert f"model {HTML} **bold** $x^2$ :material/bomb:" in said
        assert " UTC · hostile" in said, "which run it is: its title and its id"
    if name == "examples":
        for text in (HTML, MARKDOWN, COMMANDS):
            assert text in said
    if name == "overview":
        assert "[x](javascript:alert(1))" in said

    # On a phone, in the dark.
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    come_to_rest(page)
    assert not page.evaluate(BEYOND) + page.evaluate(CUT) + hard_to_read(page)
    assert not went_elsewhere(loaded)


def test_an_address_that_somebody_was_sent_is_no_more_than_text(hostile, page, loaded):
    page.goto(f"{hostile[0]}/overview?{urlencode({'run': f'{HTML} **bold** $x^2$ {ORDER}'})}")
    come_to_rest(page)
    assert not harm(page)
    assert f"there is no run '{HTML} **bold** $x^2$" in seen(page)
    assert not went_elsewhere(loaded)


def test_no_name_or_text_is_more_than_text_in_a_report(hostile, page, loaded, tmp_path):
    write_report(hostile[1], tmp_path / "report.html")
    page.goto((tmp_path / "report.html").as_uri())
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert not harm(page)
    said = seen(page)
    for text in (HTML, MARKDOWN, COMMANDS, f"model {HTML} **bold** $x^2$ :material/bomb:"):
        assert text in said
    assert not went_elsewhere(loaded)
