"""What a paper copies: the paragraph on methods, BibTeX, tables."""

import re

import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.inference.number_format import bracket, change, measured, p_value
from emap_core.presentation.paper import bibtex, methods_paragraph


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    settings = {"n_resamples": 100}
    return [
        emap.compute(Staged(), make_examples(seed=seed), out=folder / f"{seed}", **settings)
        for seed in (0, 1)
    ]


def test_the_paragraph_has_the_runs_own_numbers(runs, capsys):
    run = runs[0]
    gap = run.gap("accuracy")
    said = methods_paragraph(run)
    for number in (
        "60 examples",
        "11 different texts and 23 different images",
        "All 253 recombinations",
        measured(gap.full, "points"),
        measured(gap.projected, "points"),
        f"{change(gap.difference, 'points')} with a 95% interval of "
        f"{bracket(gap.low, gap.high, 'points')} {gap.population} ({p_value(gap.p_value)})",
        gap.method,
        "Among the 3 metrics tested",
        f"EMAP Lens {emap.__version__}",
    ):
        assert number in said
    assert main(["show", str(run.path), "--methods"]) == 0
    assert capsys.readouterr().out.strip() == said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "sampled", "images_per_text": 5}, r"[\d,]+ of the 253 recombinations"),
        ({"method": "subsample", "subsample_size": 20}, "10 random sub-samples of 20 examples"),
    ],
)
def test_a_part_of_the_pairs_is_told_as_one(settings, words):
    run = emap.compute(Staged(), make_examples(), out=None, n_resamples=100, **settings)
    assert re.search(words, methods_paragraph(run))
    assert "All 253" not in methods_paragraph(run)


def test_without_labels_the_paragraph_claims_no_gap():
    run = emap.compute(Staged(), make_examples(labels=None), out=None, n_resamples=100)
    said = methods_paragraph(run)
    assert "interval" not in said and "of the variance over all recombinations" in said
    assert "holm" not in bibtex(run)


def test_of_three_sides_an_example_has_a_combination_of_its_own():
    run = emap.compute("demo:digits-joint", "demo:digits", limit=60, out=None, n_resamples=100)
    said = methods_paragraph(run)
    assert "each example’s own combination is left out" in said and " pair " not in said


def test_what_was_used_is_cited_and_nothing_else(runs, capsys):
    assert re.findall(r"^@\w+\{(.+),$", bibtex(runs[0]), re.M) == [
        "hessel-lee-2020-multimodal",
        "emap-lens",
        "holm-1979-simple",
    ]
    assert bibtex(runs[0]).count("{") == bibtex(runs[0]).count("}")
    assert main(["show", str(runs[0].path), "--bibtex"]) == 0
    assert capsys.readouterr().out == bibtex(runs[0])


def test_a_table_for_a_paper_says_n_method_and_population(runs, capsys):
    paths = [str(run.path) for run in runs]
    assert main(["compare", *paths, "--latex", "--metric", "accuracy"]) == 0
    latex = capsys.readouterr().out
    for part in (
        r"\begin{table}",
        r"\toprule",
        r"\bottomrule",
        "& N &",
        "& 60 &",
        r"95\% intervals",
    ):
        assert part in latex
    assert "method: exact" in latex and "for new texts and new images" in latex
    assert "log loss" not in latex
    assert main(["compare", *paths, "--markdown"]) == 0
    assert "method: exact" in capsys.readouterr().out.splitlines()[-1]
    assert main(["compare", *paths, "--csv"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    assert main(["compare", *paths, "--latex", "--metric", "auroc"]) == 2
    assert main(["compare", *paths, "--metric", "accuracy"]) == 2
    assert "--metric is for the table of --latex" in capsys.readouterr().err


def test_a_comparison_shows_itself_in_a_notebook(runs):
    compared = emap.compare(*runs, metrics=["accuracy"])
    shown = compared._repr_html_()
    for run in runs:
        assert measured(run.gap("accuracy").projected, "points") in shown
    assert "log loss" not in shown and "method: exact" in shown
    assert shown.count("Plotly.newPlot(") == 1
    assert r"\toprule" in compared.latex() and compared.markdown().startswith("| model |")
    with pytest.raises(emap.EmapError, match="1 run is not enough; name at least two"):
        emap.compare(runs[0])
