from __future__ import annotations

import base64
import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.inference import metric as emap_metric
from emap_core.presentation.report import report_html, write_report
from emap_core.themes import DARK, LIGHT

pytestmark = pytest.mark.slow

NASTY = '</script><img src=x onerror="alert(1)"> & "quoted"'


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return emap.compute(Staged(), make_examples(), out=folder / "staged", fingerprint="a")


@pytest.fixture(scope="module")
def page(run):
    return report_html(run)


class _Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def _outside_scripts(page):
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_page_says_the_verdict_and_the_numbers_of_the_table(run, page):
    text = _outside_scripts(page)
    assert run.verdict().sentence in text
    accuracy = run.table().loc["emap", "accuracy"]
    assert f"{100 * accuracy:.1f}%" in text
    assert "60 examples · 11 texts × 23 images" in text


def test_tags_and_comment_stand_in_report_and_comparison_as_text(tmp_path, capsys):
    run = emap.compute(Staged(), make_examples(), out=tmp_path / "run", n_resamples=100)
    emap.annotate_run(run.path, tags=["<b>May</b>"], comment="one\n<i>two</i>")
    page = _outside_scripts(report_html(emap.load_run(run.path)))
    assert "Tags: &lt;b&gt;May&lt;/b&gt;" in page and "one\n&lt;i&gt;two&lt;/i&gt;" in page
    assert main(["compare", str(run.path), str(run.path)]) == 0
    assert "tags: <b>May</b>; comment: one <i>two</i>" in capsys.readouterr().out


def test_nothing_is_fetched_from_anywhere(page):
    tags = _Tags(_outside_scripts(page)).found
    for tag, attributes in tags:
        assert tag not in ("link", "iframe", "object")
        assert attributes.get("src", "data:").startswith("data:")
    policy = next(a["content"] for t, a in tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert not re.search(r"<script[^>]+src=", page)


def test_the_library_is_there_once_and_each_figure_is_drawn(page):
    assert page.count("plotly.js v") == 1
    drawn = re.findall(r"Plotly\.newPlot\(\s*\"(figure-[\w-]+)\"", page)
    assert {"figure-gap", "figure-decisions", "figure-shares", "figure-contributions"} <= set(drawn)
    assert len(drawn) == len(set(drawn))


def test_every_figure_has_its_message_in_words(page):
    tags = _Tags(_outside_scripts(page)).found
    messages = [a["aria-label"] for tag, a in tags if tag == "figure"]
    assert len(messages) >= 5
    assert all(len(message) > 20 for message in messages)


def test_pictures_of_the_examples_are_inside(run, page):
    assert base64.b64encode(run.thumbnail(0)).decode() in page or page.count("image/jpeg") >= 3


def test_texts_and_labels_are_shown_as_they_are(tmp_path):
    examples = make_examples()
    examples.texts = [f"{NASTY} {text}" for text in examples.texts]
    examples.ids = [f"{NASTY} {i}" for i in range(len(examples))]
    examples.skipped = [f"row 3 of photos.csv: {NASTY}", *["row 4 is bad"] * 300]
    model = Staged()
    model.classes = (NASTY, "one", "two")
    run = emap.compute(model, examples, out=tmp_path / "nasty", fingerprint="nasty")
    page = report_html(run)
    assert "<img src=x" not in page
    assert not [tag for tag, a in _Tags(page).found if "onerror" in a]
    assert "&lt;img src=x" in page
    assert "301 rows were left out" in page and "<li>row 3 of photos.csv: " in page
    assert "<li>101 more</li>" in page


def test_the_same_run_gives_the_same_file_and_an_old_one_is_replaced(run, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(run, path)
    first = path.read_bytes()
    write_report(run, path)
    assert path.read_bytes() == first
    assert first.startswith(b"<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"labels": None}, {}),
        ({}, {"keep": "sums"}),
        ({"labels": np.random.default_rng(0).normal(size=(60, 3)), "task": "regression"}, {}),
        ({"labels": [[0, 2]] * 30 + [[1]] * 30, "task": "multilabel"}, {}),
    ],
    ids=["no labels", "sums only", "regression", "multilabel"],
)
def test_every_kind_of_run_has_a_report(changes, settings, tmp_path):
    run = emap.compute(
        Staged(), make_examples(**changes), out=tmp_path / "run", fingerprint="b", **settings
    )
    assert run.verdict().sentence in report_html(run)


def test_one_logit_has_a_report(tmp_path):
    def model(texts, images):
        staged = Staged()
        return staged.score(staged.encode_texts(texts), staged.encode_images(images))[:, :1]

    examples = make_examples(labels=["no", "yes"] * 30, classes=["no", "yes"], task="binary")
    run = emap.compute(model, examples, out=tmp_path / "run", fingerprint="c")
    assert "yes (rather than no)" in report_html(run)


def test_a_dark_report_is_dark_all_through(run, page, tmp_path, capsys):
    path = tmp_path / "dark.html"
    assert main(["report", str(run.path), "--out", str(path), "--theme", "dark"]) == 0
    dark = _outside_scripts(path.read_text())
    assert "color-scheme: only dark" in dark
    assert f"--paper: {DARK.paper}" in dark
    drawn = path.read_text().split("Plotly.newPlot(")
    # Each figure states its ink; none is left with the light one.
    assert all(f'"color":"{DARK.ink}"' in figure for figure in drawn[-5:])
    assert LIGHT.ink not in dark
    assert "color-scheme: only light" in page


def test_with_one_image_for_all_texts_nothing_is_claimed(one_item_allowed, tmp_path):
    run = emap.compute(
        Staged(), make_examples(n_images=1), out=tmp_path / "one", fingerprint="one image"
    )
    page = _outside_scripts(report_html(run))
    assert "Not measurable: all examples share one image." in page
    assert "right only with interactions" not in page
    assert "0.0%" not in page.split("<h2>")[0]
    record = run.record()
    assert record["verdict_kind"] == "not_measurable"
    assert record["warnings"] == []
    # What is undefined is neither right nor wrong.
    assert run.examples().correct_emap_leave_one_out.isna().all()


def test_the_equivalence_margin_is_the_readers(run, tmp_path, capsys):
    path = tmp_path / "report.html"
    assert main(["report", str(run.path), "--out", str(path), "--margin", "0.5"]) == 0
    page = _outside_scripts(path.read_text())
    assert run.verdict(0.5).sentence in page
    assert "The equivalence margin is 50 points." in page
    for warning in run.warnings:
        assert warning in page
    assert run.intervals().population in page
    capsys.readouterr()
    assert main(["report", str(run.path), "--out", str(path), "--margin", "5"]) == 2
    assert "the equivalence margin is 5" in capsys.readouterr().err
    assert run.verdict(0.5).sentence in _outside_scripts(path.read_text())


def test_terminal_json_and_report_say_the_same(run, page, capsys):
    verdict = run.verdict()
    assert main(["show", str(run.path)]) == 0
    shown = capsys.readouterr().out
    assert main(["show", str(run.path), "--json", "--margin", "0.3"]) == 0
    record = json.loads(capsys.readouterr().out)
    for sentence in (verdict.sentence, *verdict.details, *run.warnings):
        assert sentence in shown
        assert html.escape(sentence, quote=False) in html.unescape(page)
    assert record["verdict"] == str(run.verdict(0.3))
    assert record["smallest_gap"] == 0.3
    assert record["warnings"] == list(run.warnings)
    assert set(record["verdicts"]) == set(run.metrics)
    for name in run.metrics:
        assert record["verdicts"][name]["sentence"]
        assert record["metrics"][name]["population"] == run.gap(name).population
        assert f"Gap in {emap_metric(name).label}: " in shown
    assert shown.count(run.gap("accuracy").population) >= len(run.metrics)
