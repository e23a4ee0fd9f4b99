import shlex
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

import benchmarks.__main__ as program
from benchmarks import before_after
from benchmarks.__main__ import (
    README,
    TABLES,
    heading,
    main,
    ratios,
    regressions,
    remarks,
    replaced,
)
from benchmarks.before_after import cells, compare, values_of
from benchmarks.gpu import disagreements
from benchmarks.rows import ROWS, SUITES
from benchmarks.tables import NotMeasuredError, markdown

EVERY_ROW = (*ROWS, *SUITES)


def test_remarks_stay_below_their_heading_when_the_tables_are_written_anew():
    written = README.read_text()
    kept = remarks(written)
    assert len(kept) >= 2
    titles = [title for title in kept if title.startswith("## ")] + ["## Without a remark"]
    tables = [f"{title}\n\nnew\n" for title in titles]
    again = replaced(written, [heading(), *tables])
    assert remarks(again) == kept
    assert replaced(again, [heading(), *tables]) == again


def test_the_readme_names_every_table():
    said = README.read_text()
    assert all(f"`{table.__name__}`" in said for table in TABLES)


def test_a_ratio_that_has_grown_by_more_than_chance_is_told():
    def table(*ratios):
        rows = [(name, 2.0, ratio) for name, ratio in zip("ab", ratios, strict=True)]
        return markdown("Speed", "Words.", ("what", "after, s", "after ÷ before"), rows)

    assert regressions(table(0.5, 1.0), table(0.6, 1.2)) == []
    (told,) = regressions(table(0.5, 1.0), table(0.4, 1.3))
    assert told == "Speed · b · after ÷ before: 1.3, was 1"


def test_the_ratios_of_the_readme_are_read():
    assert {title for title, *_ in ratios(README.read_text())} >= {
        "Before and after",
        "Engine over floor",
        "The reduction alone",
    }


def test_empty_cells_at_the_end_of_a_row_are_cells():
    table = "## T\n| what | ratio | note |\n| --- | --- | --- |\n| a | 1.5 |  |\n"
    assert ratios(table) == {("T", "a", "ratio"): 1.5}


def test_rows_of_one_name_keep_their_order_and_new_rows_move_no_others():
    def table(*names):
        return markdown("T", "Words.", ("what", "ratio"), [(name, 1.0) for name in names])

    assert list(ratios(table("a", "b", "a"))) == [
        ("T", "a", "ratio"),
        ("T", "b", "ratio"),
        ("T", "a (2)", "ratio"),
    ]
    assert ratios(table("a", "b")).items() <= ratios(table("new", "a", "b")).items()


def test_the_heading_of_the_readme_is_the_one_that_is_written():
    ours, written = (
        text.partition("\n\nMeasured on")[0] for text in (heading(), README.read_text())
    )
    assert ours.split() == written.split()


def test_paragraphs_of_a_remark_stay_apart():
    readme = "## T\n\n> one\n> and more\n\n> two\n"
    assert remarks(readme) == {"## T": "> one\n> and more\n\n> two\n"}


def test_some_tables_are_written_and_the_others_and_all_remarks_stay():
    stored = "# All\n\nWords.\n\n## A\n\nold\n\n> remark\n\n## B\n\nother\n"
    found = ["## A\n\nfresh\n", "## C\n\nadded\n"]
    assert replaced(stored, found) == (
        "# All\n\nWords.\n\n## A\n\nfresh\n\n> remark\n\n## C\n\nadded\n\n## B\n\nother\n"
    )
    assert replaced(stored, ["## C\n\nadded\n"]).endswith("other\n\n## C\n\nadded\n")
    written = README.read_text()
    titles = [section.partition("\n")[0] for section in written.split("\n## ")[1:]]
    for title in titles:
        again = replaced(written, [f"## {title}\n\nfresh\n"])
        assert remarks(again) == remarks(written)
        assert again.count("\n## ") == len(titles)


def test_a_table_that_cannot_be_measured_here_keeps_its_figures(tmp_path, monkeypatch, capsys):
    stored = "# Benchmarks\n\nOld.\n\n## A\n\nold\n\n## B\n\nkept\n\n> remark\n"
    readme = tmp_path / "README.md"
    readme.write_text(stored)

    def measured():
        return "## A\n\nfresh\n"

    def missing():
        raise NotMeasuredError("a library is not installed")

    monkeypatch.setattr(program, "README", readme)
    monkeypatch.setattr(program, "TABLES", (measured, missing))
    assert main([]) == 0
    assert "missing was not measured: a library is not installed" in capsys.readouterr().err
    # The heading tells when all tables were measured, and one was not.
    assert readme.read_text() == stored.replace("old", "fresh")
    monkeypatch.setattr(program, "TABLES", (measured,))
    assert main([]) == 0
    assert readme.read_text() == f"{heading()}\n## A\n\nfresh\n\n## B\n\nkept\n\n> remark\n"


def test_a_table_asked_for_by_name_that_is_not_measured_is_a_failure(monkeypatch):
    def measured():
        return "## A\n\nfresh\n"

    def missing():
        raise NotMeasuredError("a library is not installed")

    monkeypatch.setattr(program, "TABLES", (measured, missing))
    assert main(["measured"]) == 0
    assert main(["measured", "missing"]) == 1


def test_a_table_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["before_and_after"])
    assert "before_after" in capsys.readouterr().err


def test_every_row_has_a_name_of_its_own_a_goal_and_a_script_to_run_alone():
    names = [row.name for row in EVERY_ROW]
    assert len(set(names)) == len(names)
    for row in EVERY_ROW:
        assert float(row.goal) > 0
        words = shlex.split(row.command.removeprefix("OMP_NUM_THREADS=1 "))
        assert words[:2] == ["python", "-m"]
        assert find_spec(words[2]) is not None


def test_a_row_says_whether_its_goal_is_met():
    row = ROWS[0]
    met = cells(row, 2 * row.goal, row.goal)
    missed = cells(row, row.goal, 1.5 * row.goal)
    assert (met[-1], missed[-1]) == ("yes", "no")
    assert met[4:8] == (2 * row.goal, row.goal, 0.5, row.goal)
    assert f"`{row.command}`" in met


def test_the_values_that_a_script_prints_are_read():
    assert values_of("first score: 1.5\nverdict: 2e1\n") == {"first score": 1.5, "verdict": 20.0}


@pytest.mark.parametrize("slower", EVERY_ROW, ids=lambda row: row.name)
def test_a_regression_in_any_row_is_told(slower, monkeypatch, tmp_path):
    """Both versions are measured in turns, and the best of their rounds are compared."""
    growth, asked = {}, []

    def measured(command, checkout, runs):
        asked.append((command, checkout))
        after = checkout == before_after.ROOT
        # The second round is slower in both, and does not count.
        again = asked.count((command, checkout))
        return {
            row.value: again * (growth.get(row.name, 1.0) if after else 1.0)
            for row in EVERY_ROW
            if row.command == command
        }

    @contextmanager
    def checked_out(folder):
        yield tmp_path

    monkeypatch.setattr(before_after, "_measured", measured)
    monkeypatch.setattr(before_after, "_checked_out", checked_out)
    stored = compare("T", EVERY_ROW)
    assert {name: found for _, name, found in ratios(stored)} == dict.fromkeys(
        (row.name for row in EVERY_ROW), "after ÷ before"
    )
    of_command = asked.count((slower.command, before_after.ROOT))
    assert of_command == slower.rounds
    assert asked.count((slower.command, tmp_path)) == slower.rounds_before
    asked.clear()
    growth[slower.name] = 1.3
    (told,) = regressions(stored, compare("T", EVERY_ROW))
    assert told == f"T · {slower.name} · after ÷ before: 1.3, was 1"


def test_large_numbers_are_written_out():
    table = markdown("T", "Words.", ("what", "ratio"), [("a", 1234.5), ("b", 0.12345)])
    assert "| a | 1234 |" in table
    assert "| b | 0.123 |" in table


def test_a_gpu_that_computes_other_numbers_is_told():
    rows = [
        ("cheap head", "float32", 2e-7, 3e-7, 1e-6, 9e-5, "same bits"),
        ("cheap head", "bfloat16", 0.01, 0.01, 0.01, 0.01, "same bits"),
    ]
    assert disagreements(rows) == []
    rows += [
        ("transformer", "float32", 2e-7, 2e-4, 0.0, 0.0, "same bits"),
        ("transformer", "float32", 0.0, 0.0, float("nan"), 0.0, "same bits"),
        ("transformer", "bfloat16", 0.0, 0.0, 0.0, 0.0, "OTHER BITS"),
    ]
    told = disagreements(rows)
    assert [("0.0002" in told[0]), ("nan" in told[1]), ("OTHER BITS" in told[2])] == [True] * 3
    assert len(told) == 3
