import io
import time
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emap_core.datasets.limited_process import limited
from emap_core.datasets.preview import preview_elsewhere, preview_table
from emap_core.datasets.upload import receive
from emap_core.errors import DatasetError

pytestmark = pytest.mark.process


def test_a_preview_read_elsewhere_is_the_same(tmp_path):
    table = pd.DataFrame({"text": ["a", "b"], "image": [b"x", b"yy"], "label": [1, 2]})
    table.to_parquet(tmp_path / "it.parquet")
    spec = f"parquet:{tmp_path / 'it.parquet'}"
    there, here = preview_elsewhere(spec), preview_table(spec)
    assert there.rows.to_dict() == here.rows.to_dict()
    assert (there.n_rows, there.taken, there.offered) == (2, here.taken, here.offered)
    assert preview_elsewhere("demo:easy-vqa") is None
    with pytest.raises(DatasetError, match="there is no"):
        preview_elsewhere(f"csv:{tmp_path / 'none.csv'}")


def test_a_small_file_that_unpacks_to_gigabytes_takes_no_memory_of_the_server(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("EMAP_MAX_UPLOAD_MEMORY", str(1 << 30))
    words = pa.array(["x" * 1_000_000])
    column = pa.DictionaryArray.from_arrays(np.zeros(3_000, dtype=np.int32), words)
    pq.write_table(pa.table({"text": column}), tmp_path / "bomb.parquet", store_schema=False)
    assert (tmp_path / "bomb.parquet").stat().st_size < 1_000_000
    with pytest.raises(DatasetError, match=r"bomb.parquet .* memory") as refused:
        preview_elsewhere(f"parquet:{tmp_path / 'bomb.parquet'}")
    assert "\n" not in str(refused.value)


def test_what_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_MAX_UPLOAD_SECONDS", "1")
    began = time.monotonic()
    with pytest.raises(DatasetError, match="it cannot be read: it takes more than 1 seconds"):
        limited("time:sleep", 600, doing="it cannot be read")
    assert time.monotonic() - began < 60


def test_what_breaks_down_or_says_too_much_is_an_error_of_the_file():
    with pytest.raises(DatasetError, match="or is damaged"):
        limited("os:_exit", 3, doing="it cannot be read")
    with pytest.raises(DatasetError, match="too large to show"):
        limited("operator:mul", "x", 9 << 20, doing="it cannot be read")


def test_a_table_of_many_columns_is_refused_at_once(tmp_path):
    row = ",".join(f"c{i}" for i in range(20_000))
    (tmp_path / "wide.csv").write_text(f"{row}\n{row}\n")
    with pytest.raises(DatasetError, match="has 20,000 columns; keep at most 1,000"):
        preview_elsewhere(f"csv:{tmp_path / 'wide.csv'}")


def test_an_archive_of_many_entries_is_refused_before_one_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_MAX_FILES", "100")
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        for i in range(101):
            file.writestr(f"{i}.txt", "")
    with pytest.raises(DatasetError, match="more than the 100 files"):
        receive("many.zip", written.getvalue(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_table_costs_no_process(monkeypatch):
    monkeypatch.setattr("emap_core.datasets.preview.limited", None)
    assert preview_elsewhere("demo:easy-vqa") is None
    assert preview_elsewhere("my_module:factory") is None
