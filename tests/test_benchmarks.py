from benchmarks.__main__ import README, TABLES, page, ratios, regressions, remarks
from benchmarks.gpu import disagreements
from benchmarks.tables import markdown


def test_remarks_stay_below_their_heading_when_the_tables_are_written_anew():
    written = README.read_text()
    kept = remarks(written)
    assert len(kept) >= 2
    titles = [title for title in kept if title.startswith("## ")] + ["## Without a remark"]
    tables = [f"{title}\n\nnew\n" for title in titles]
    again = page(tables, kept)
    assert remarks(again) == kept
    assert remarks(page(tables, remarks(again))) == kept


def test_the_readme_names_every_table():
    said = README.read_text()
    assert all(f"`{table.__name__}`" in said for table in TABLES)


def test_a_ratio_that_has_grown_by_more_than_chance_is_told():
    def table(*ratios):
        rows = [(name, 2.0, ratio) for name, ratio in zip("ab", ratios, strict=True)]
        return markdown("Speed", "Words.", ("what", "after, s", "after ÷ before"), rows)

    assert regressions(table(0.5, 1.0), table(0.6, 1.2)) == []
    (told,) = regressions(table(0.5, 1.0), table(0.4, 1.3))
    assert told == "Speed · row 2 · b · after ÷ before: 1.3, was 1"


def test_the_ratios_of_the_readme_are_read():
    assert {title for title, *_ in ratios(README.read_text())} >= {
        "Before and after",
        "Engine over floor",
        "The reduction alone",
    }


def test_empty_cells_at_the_end_of_a_row_are_cells():
    table = "## T\n| what | ratio | note |\n| --- | --- | --- |\n| a | 1.5 |  |\n"
    assert ratios(table) == {("T", "row 1", "a", "ratio"): 1.5}


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
