"""A page is a file in `pages/` and a line in its list; from there on it is everywhere."""

from streamlit.testing.v1 import AppTest

from pages import FOLDER, PAGES, Page, page_names

INVENTED = """
import streamlit as st

from pages import shared

QUESTION = "How long are the texts?"
run = shared.require_run(QUESTION)
shared.header(QUESTION, f"The longest has {max(map(len, run.texts))} characters.", run)
"""


def test_the_list_names_every_file_and_every_file_is_listed():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {page.path for page in PAGES} == {FOLDER / f"{name}.py" for name in files}
    assert len(page_names()) == len(files)


def test_an_invented_page_is_a_file_and_a_line(tmp_path, monkeypatch, words, runs_with_one):
    (tmp_path / "lengths.py").write_text(INVENTED)
    monkeypatch.setattr(
        "pages.PAGES", [*PAGES, Page("lengths", "Lengths", "straighten", "One model", tmp_path)]
    )
    app = AppTest.from_file(str(FOLDER.parent / "app.py"), default_timeout=60).run()
    app.query_params["run"] = runs_with_one.id
    app.switch_page(str(tmp_path / "lengths.py")).run()
    longest = max(map(len, runs_with_one.texts))
    assert f"The longest has {longest} characters." in words(app)
    assert [title.value for title in app.title] == ["How long are the texts?"]
    assert page_names(of_a_run=True)[-1] == "lengths"
