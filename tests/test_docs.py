"""README and docs: links lead somewhere, and what is to be copied runs."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

import emap_core as emap
from emap_core.cli import _parser

HOUSE = Path(__file__).parents[1]
COMMAND = re.compile(r"^    (?:python -m emap_core|emap-lens) (.+)$", re.MULTILINE)
PAGES = [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))]


def anchors(page):
    """Return what the headings of a page are called in links, as code hosts do."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))
def test_links_to_files_and_headings_lead_there(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        there = page.parent / name if name else page
        assert there.exists(), f"{page.name} links to {target}"
        if heading and there.suffix == ".md":
            assert heading in anchors(there), f"{page.name} links to {target}"


def test_the_command_that_asks_external_links_finds_them_all_and_tells_which_lead_nowhere(tmp_path):
    spec = importlib.util.spec_from_file_location("links", HOUSE / "docs" / "external_links.py")
    asked = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(asked)
    found = asked.external_links(HOUSE)
    assert "README.md" in found["https://github.com/vzhou842/easy-VQA"]
    written = {
        link for page in PAGES for link in re.findall(r"\]\((http[^)]+)\)", page.read_text())
    }
    assert written <= found.keys()
    (tmp_path / "there.txt").write_text("here")
    assert asked.what_is_wrong((tmp_path / "there.txt").as_uri()) is None
    assert "No such file" in asked.what_is_wrong((tmp_path / "gone.txt").as_uri())


def snippets():
    return re.findall(r"```python\n(.*?)```", (HOUSE / "README.md").read_text(), re.DOTALL)


@pytest.mark.slow
def test_the_ten_lines_of_a_model_run_as_they_stand(tmp_path, monkeypatch, capsys):
    model, compute, *_ = snippets()
    (tmp_path / "my_model.py").write_text(model)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Another test may have imported a module of this name.
    monkeypatch.delitem(sys.modules, "my_model", raising=False)
    monkeypatch.setattr("plotly.graph_objects.Figure.show", lambda self: print(type(self)))
    # As it stands but for the number of examples, which is what takes the time.
    exec(compute.replace("500", "20"), {})  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert said.startswith(("Undecided", "No ")) and "leave" in said and "Figure" in said
    sys.modules.pop("my_model", None)


def test_the_table_of_a_factory_is_read_as_it_stands(tmp_path, monkeypatch):
    (code,) = (one for one in snippets() if "glob" in one)
    (tmp_path / "my_data.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_data", raising=False)
    (tmp_path / "photos").mkdir()
    for place, name in enumerate(("2020_cat", "2021_dog", "2022_cat_on_dog")):
        Image.new("RGB", (8, 8), (place, 0, 0)).save(tmp_path / "photos" / f"{name}.jpg")
    data = emap.load_dataset("my_data:load", folder=str(tmp_path / "photos"))
    assert list(data.texts) == ["2020 cat", "2021 dog", "2022 cat on dog"]
    assert list(data.columns["year"]) == ["2020", "2021", "2022"]
    sys.modules.pop("my_data", None)


def test_every_command_that_is_named_is_one(capsys):
    """The commands of the README and of the guides, with their options."""
    for page in PAGES:
        for line in re.findall(
            r"^    (?:python -m emap_core|emap-lens) (.+)$", page.read_text(), re.M
        ):
            words = line.split("#")[0].split()
            flags = {word.split("=")[0] for word in words if word.startswith("--")}
            if not words or words[0].startswith("-") or not words[0].islower():
                continue
            with pytest.raises(SystemExit) as ended:
                _parser().parse_args([words[0], "--help"])
            assert ended.value.code == 0, f"{page.name}: {line}"
            known = capsys.readouterr().out
            for flag in flags:
                assert flag in known, f"{page.name}: {line} ({flag})"
