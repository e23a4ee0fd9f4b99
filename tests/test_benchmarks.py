from benchmarks.__main__ import README, TABLES, page, remarks


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
