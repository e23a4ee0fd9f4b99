import dataclasses

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.presentation.further_questions import further_questions
from emap_core.presentation.report import report_html
from emap_core.runs import Run

pytestmark = pytest.mark.slow

UNLIKELY = "Does the verdict depend on unlikely pairs?"
SCALE = "How much of the gap is interaction, and how much only scale?"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return emap.compute(Staged(), make_examples(), density="encodings", n_resamples=100, out=folder)


def test_the_terminal_the_report_and_the_record_say_the_same(run, capsys):
    by_question = {one.question: one for one in further_questions(run)}
    assert list(by_question) == [UNLIKELY, SCALE]
    main(["show", str(run.path)])
    said, page = capsys.readouterr().out, report_html(run)
    for one in by_question.values():
        for words in (one.question, one.answer, one.note):
            assert words in said
            assert words in page.replace("&#x27;", "'")
        for column, cells in one.columns.items():
            assert column in page
            assert all(cell in page for cell in cells)
    record = run.record()["metrics"]
    number = record["log_loss"]["gap_leave_one_out_calibrated"]
    shown = by_question[SCALE].columns["Gap on the best scale"][0]
    assert float(shown.split()[0].replace("−", "-")) == pytest.approx(number, rel=5e-3)
    assert record["log_loss"]["gap_calibrated_low"] < record["log_loss"]["gap_calibrated"]
    assert record["accuracy"]["gap_calibrated"] is None


def with_gaps(run, limits, share=0.4):
    """Return a run whose gaps in accuracy have these limits, as unlikely pairs count less."""
    found = run.unlikely_pairs()
    rows = tuple(
        dataclasses.replace(
            row,
            effective_share=share,
            gaps={
                name: dataclasses.replace(gap, difference=(low + high) / 2, low=low, high=high)
                for name, gap in row.gaps.items()
            },
        )
        for row, (low, high) in zip(found.rows, limits, strict=True)
    )
    other = Run.load(run.path)
    other.unlikely_pairs = lambda: dataclasses.replace(found, rows=rows)  # type: ignore[assignment]
    return other


def test_the_answer_goes_by_the_verdict_with_the_equivalence_margin(run):
    falling = with_gaps(run, [(0.10, 0.20), (0.05, 0.15), (-0.04, 0.06)])
    assert further_questions(falling)[0].answer == (
        "Yes: “relies on interactions” becomes “undecided” if unlikely pairs count less; the "
        "gap in accuracy goes from 15.0 points to 1.0 points."
    )
    staying = with_gaps(run, [(0.10, 0.20), (0.09, 0.19), (0.08, 0.18)])
    assert further_questions(staying)[0].answer.startswith("No, it is the same")
    by_own_margin = further_questions(staying, 0.085)[0].answer
    assert by_own_margin.startswith("Yes: “relies on interactions” becomes")
    assert by_own_margin in report_html(staying, equivalence_margin=0.085)
    alike = with_gaps(run, [(0.1, 0.2)] * 3, share=1.0)
    assert further_questions(alike)[0].answer.startswith("No pair counts as unlikely here")


def test_what_a_run_cannot_answer_is_not_asked(one_item_allowed, tmp_path, capsys):
    plain = emap.compute(Staged(), make_examples(), out=tmp_path / "plain", n_resamples=100)
    assert [one.question for one in further_questions(plain)] == [SCALE]
    sampled = emap.compute(
        Staged(), make_examples(), out=tmp_path / "s", method="sampled", images_per_text=8
    )
    assert further_questions(sampled) == []
    assert sampled.record()["metrics"]["log_loss"]["gap_calibrated"] is None
    unlabelled = emap.compute(Staged(), make_examples(labels=None), out=tmp_path / "u")
    assert further_questions(unlabelled) == []
    one_image = make_examples(n_images=1)
    alone = emap.compute(Staged(), one_image, out=tmp_path / "one", n_resamples=100)
    assert further_questions(alone) == []
    main(["show", str(tmp_path / "one")])
    assert SCALE not in capsys.readouterr().out
    assert np.isfinite(plain.calibrated_gaps["log_loss"]["emap"].difference)
