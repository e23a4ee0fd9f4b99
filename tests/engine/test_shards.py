"""Shards of one plan, each computed on its own, and the run that they merge into."""

import re

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.engine.noise import FEW
from emap_core.errors import Cancelled, RunError, SettingError
from emap_core.runs import Run, describe_run

pytestmark = pytest.mark.slow


def shard(number, of, out, data=None, model=None, **settings):
    settings = {"batch_size": 20, **settings}
    return emap.compute_shard(
        model or Staged(), data or make_examples(), (number, of), out=out / f"{number}", **settings
    )


@pytest.mark.parametrize("settings", [{}, {"keep": "sums"}, {"keep_classes": 2}])
def test_shards_merge_to_the_bits_of_the_whole(settings, examples, store):
    whole = emap.compute(Staged(), examples, out=store / "whole", batch_size=20, **settings)
    models = [Staged() for _ in range(3)]
    shards = [shard(i, 3, store, model=models[i - 1], **settings) for i in (1, 2, 3)]
    merged = emap.merge_shards(reversed(shards), store / "merged")
    # Each shard looks at the first pairs of its first tile, and at a few of them twice.
    assert sum(model.pairs_scored for model in models) <= 11 * 23 + 2 * 16 + 2 * 3 * FEW
    assert merged.decomposition.equals(whole.decomposition)
    for name, found in whole.recombined.arrays().items():
        np.testing.assert_array_equal(merged.recombined.arrays()[name], found)
    for c in whole.kept_classes:
        np.testing.assert_array_equal(merged.class_grid(c), whole.class_grid(c))
    assert merged.table(intervals=True).equals(whole.table(intervals=True))
    assert merged.thumbnail(22) == whole.thumbnail(22)
    assert merged.manifest["n_pairs_evaluated"] == 11 * 23


def test_what_shards_were_asked_for_differently_is_joined_or_refused(store):
    shards = [
        shard(1, 2, store, metrics=["accuracy"]),
        shard(2, 2, store, metrics=["log_loss", "accuracy"], name="late fusion"),
    ]
    merged = emap.merge_shards(shards, store / "merged")
    assert merged.metrics == ["accuracy", "log_loss"]
    assert merged.manifest["name"] == "late fusion"
    for settings, message in (
        ({"name": "early"}, "different names, 'early' and 'late fusion'; give them one name"),
        ({"seed": 3}, "ask for different intervals \\(seed 3 and 0\\); compute one of them again"),
    ):
        other = shard(
            1, 2, store / str(len(settings["name"]) if "name" in settings else 0), **settings
        )
        with pytest.raises(RunError, match=message):
            emap.merge_shards([other, shards[1]], store / "never")


def test_a_shard_encodes_only_the_images_of_its_tiles(store):
    data = make_examples(n=300, n_texts=5, n_images=200)
    model = Staged()
    shard(1, 8, store, data, model)
    assert model.images_encoded <= 64 + 2 * FEW


def test_a_shard_resumes_like_a_run(store):
    asked = iter([False] * 4)
    first, model = Staged(), Staged()
    with pytest.raises(Cancelled):
        shard(1, 2, store, model=first, cancelled=lambda: next(asked, True))
    shard(1, 2, store, model=model)
    done = model.pairs_scored
    assert 0 < done < 11 * 23 / 2 + 20
    shard(1, 2, store, model=model)
    assert model.pairs_scored == done, "a shard that is there is not computed again"
    assert describe_run(store / "1").status == "part"
    with pytest.raises(RunError, match="is one of several shards; merge it"):
        Run.load(store / "1")
    with pytest.raises(RunError, match="holds another shard"):
        emap.compute(Staged(), make_examples(), out=store / "1", batch_size=20)


def test_shards_that_do_not_fit_together_are_refused(store):
    one = shard(1, 2, store)
    with pytest.raises(RunError, match=r"tiles are in none of the shards \(the first is \d+"):
        emap.merge_shards([one], store / "merged")
    other_tiles = shard(2, 2, store / "tiles", batch_size=30)
    with pytest.raises(RunError, match="different tiles"):
        emap.merge_shards([one, other_tiles], store / "merged")
    other_data = shard(2, 2, store / "data", make_examples(seed=1))
    with pytest.raises(RunError, match="do not belong together: they have different data"):
        emap.merge_shards([one, other_data], store / "merged")
    other_setting = shard(2, 2, store / "space", space="probabilities")
    with pytest.raises(RunError, match="different settings"):
        emap.merge_shards([one, other_setting], store / "merged")
    assert not (store / "merged").exists()
    rest = shard(2, 2, store)
    whole = emap.merge_shards([one, rest], store / "merged")
    with pytest.raises(RunError, match="is already a run"):
        emap.merge_shards([one, rest], store / "merged")
    with pytest.raises(RunError, match="is already complete"):
        emap.merge_shards([one, whole.path], store / "again")


def test_a_merged_run_is_the_finished_run_of_its_work(store):
    shards = [shard(i, 2, store) for i in (1, 2)]
    merged = emap.merge_shards(shards, store / "merged")
    model = Staged()
    again = emap.compute(model, make_examples(), out=store / "merged", batch_size=20)
    assert (again.path, model.pairs_scored) == (merged.path, 0)
    assert again.manifest["settings"]["part"] is None
    with pytest.raises(RunError, match="is finished: there is no shard left"):
        emap.compute_shard(Staged(), make_examples(), (1, 2), out=store / "merged", batch_size=20)


def test_a_shard_decodes_only_the_images_that_it_scores(store):
    class Counting(list):
        def __init__(self, items):
            super().__init__(items)
            self.opened = set()

        def __getitem__(self, index):
            self.opened.add(index)
            return super().__getitem__(index)

    texts = [f"text {i % 4}" for i in range(1000)]
    shards, opened = [], []
    for i in (1, 2, 3, 4):
        data = make_examples(n=1000, n_texts=4, n_images=500, texts=texts, fingerprint="known")
        counting = Counting(data.images)
        data.images = counting
        shards.append(shard(i, 4, store, data, keep="sums"))
        opened.append(len(counting.opened))
    # A quarter of 500, and the rest of the chunks of 64 at either end.
    assert max(opened) <= 125 + 2 * 64
    merged = emap.merge_shards(shards, store / "merged")
    assert [merged.thumbnail(image) for image in (0, 250, 499)]


def test_a_torn_tile_is_named(store):
    shards = [shard(i, 2, store) for i in (1, 2)]
    tile = sorted((shards[0] / "tiles").glob("*.npz"))[1]
    tile.write_bytes(tile.read_bytes()[:100])
    with pytest.raises(RunError, match="tile 1 of run '1' is damaged"):
        emap.merge_shards(shards, store / "merged")


@pytest.mark.parametrize(
    ("which", "settings", "message"),
    [
        ((1, 2), {"batch_size": None}, "a shard needs batch_size"),
        ((0, 2), {}, r"shard is \(0, 2\)"),
        ((3, 2), {}, r"shard is \(3, 2\)"),
        ((1, 2), {"method": "sampled", "images_per_text": 4}, "only the exact method has shards"),
        (
            (1, 200),
            {"batch_size": 253},
            "there is at most 1 shard; choose fewer shards or a smaller",
        ),
    ],
)
def test_shards_that_cannot_be_are_refused(which, settings, message, examples, store):
    with pytest.raises(SettingError, match=message):
        shard(*which, store, **settings)  # type: ignore[call-arg]


def test_shards_and_merging_on_the_command_line(store, capsys):
    work = ["run", "--model", "demo:concat", "--data", "demo:easy-vqa", "--limit", "30"]
    for i in (1, 2):
        out = str(store / str(i))
        assert (
            main(
                [
                    *work,
                    "--batch-size",
                    "64",
                    "--shard" if i == 1 else "--part",
                    f"{i}/2",
                    "--out",
                    out,
                ]
            )
            == 0
        )
    said = capsys.readouterr()
    assert said.out.split() == [str(store / "1"), str(store / "2")]
    assert said.err.count("The first of 30 examples") == 2
    n_pairs = {int(n) for n in re.findall(r"(\d+) pairs to score", said.err)}
    whole = emap.estimate("demo:concat", "demo:easy-vqa", data_args={"limit": 30}).n_pairs
    assert n_pairs == {-(-whole // 2)}
    folders = [str(store / "1"), str(store / "2")]
    assert main(["merge", *folders, "--out", str(store / "whole")]) == 0
    assert "accuracy" in capsys.readouterr().out
    assert main([*work, "--batch-size", "64", "--shard", "half"]) == 2
    assert "expected I/N" in capsys.readouterr().err
