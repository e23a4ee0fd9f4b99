from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from PIL import Image
from safetensors.torch import save_file
from samples import Staged, make_examples, score_pair

import emap_core as emap
from emap_core.cli import main
from emap_core.datasets.base import Examples
from emap_core.datasets.grid_cells import find_cells
from emap_core.datasets.sample import pick
from emap_core.errors import EmapError, ModelError, SettingError, SpecError
from emap_core.models import load_model
from emap_core.models.grid_file import GridModel

TEXTS = ["b", "a", "b", "c", "a"]
IMAGES = [1, 0, 0, 1, 1]
N_TEXTS, N_IMAGES, N = 3, 2, 5
CLASSES = ["cat", "dog", "fish"]


@pytest.fixture
def cells():
    images = [Image.new("RGB", (2, 2))] * N
    return find_cells(Examples(TEXTS, images, image_keys=IMAGES))


@pytest.fixture
def grid():
    return np.random.default_rng(0).normal(size=(N_TEXTS, N_IMAGES, 3)).astype(np.float32)


def write_npy(path, grid, classes):
    np.save(path, grid)


def write_npz(path, grid, classes):
    np.savez(path, logits=grid, classes=classes)


def write_safetensors(path, grid, classes):
    save_file({"grid": torch.from_numpy(grid)}, path, {"classes": json.dumps(classes)})


def write_zarr(path, grid, classes):
    zarr.create_array(store=str(path), data=grid, overwrite=True)


def write_parquet(path, grid, classes):
    text, image = np.indices(grid.shape[:2])
    table = pd.DataFrame({"text_id": text.ravel(), "image_id": image.ravel()})
    table[classes] = grid.reshape(-1, len(classes))
    table.sample(frac=1, random_state=0).to_parquet(path)


WRITERS = {
    "npy": write_npy,
    "npz": write_npz,
    "safetensors": write_safetensors,
    "zarr": write_zarr,
    "parquet": write_parquet,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_grid_back(suffix, tmp_path, cells, grid):
    path = tmp_path / f"grid.{suffix}"
    WRITERS[suffix](path, grid, CLASSES)
    model = load_model(f"logits:{path}")
    np.testing.assert_array_equal(model.grid_for(cells), grid)
    assert model.classes == (None if suffix in ("npy", "zarr") else CLASSES)
    assert load_model(f"logits:{path}", classes="x, y, z").classes == ["x", "y", "z"]
    before = model.fingerprint
    assert load_model(f"logits:{path}").fingerprint == before
    WRITERS[suffix](path, grid + 1, CLASSES)
    assert load_model(f"logits:{path}").fingerprint != before


def test_numbered_columns_of_a_long_grid_are_classes_in_the_order_of_their_numbers(tmp_path, cells):
    wide = np.random.default_rng(1).normal(size=(N_TEXTS, N_IMAGES, 12))
    names = [f"logit_{c}" for c in range(12)]
    write_parquet(tmp_path / "grid.parquet", wide, names)
    table = pd.read_parquet(tmp_path / "grid.parquet")
    # As sorted by name, in which order logit_10 stands before logit_2; ids as fractions.
    table[sorted(table.columns)].astype({"text_id": float}).to_parquet(tmp_path / "grid.parquet")
    model = load_model(f"logits:{tmp_path / 'grid.parquet'}")
    assert model.classes is None
    np.testing.assert_array_equal(model.grid_for(cells), wide)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_id": [0.5, 1.0]}, "has image_id 0.5, which is not a whole number"),
        ({"split": ["a", "b"]}, "has the column 'split', which does not hold numbers; keep"),
        ({"logit_0": None}, "has no column besides text_id and image_id"),
    ],
)
def test_a_long_grid_of_other_columns_is_told_what_to_do(changes, words, tmp_path):
    table = {"text_id": [0, 0], "image_id": [0, 1], "logit_0": [0.5, 1.0]} | changes
    held = {name: values for name, values in table.items() if values is not None}
    pd.DataFrame(held).to_parquet(tmp_path / "grid.parquet")
    with pytest.raises(SpecError) as caught:
        load_model(f"logits:{tmp_path / 'grid.parquet'}")
    assert words in str(caught.value)


def test_texts_and_images_may_be_called_as_the_data_call_them(tmp_path):
    data = make_examples()
    cells = find_cells(data)
    data.columns = pd.DataFrame(
        {
            "question_id": [f"q{number}" for number in cells.row_index],
            "image_id": [5_000 + number for number in cells.column_index],
        }
    )
    grid = np.random.default_rng(2).normal(size=(*cells.shape, 2))
    text, image = np.indices(cells.shape)
    pairs = {"question_id": [f"q{u}" for u in text.ravel()], "image_id": 5_000 + image.ravel()}
    table = pd.DataFrame(pairs).assign(logit_0=grid[..., 0].ravel(), logit_1=grid[..., 1].ravel())
    table.sample(frac=1, random_state=1).to_parquet(tmp_path / "grid.parquet")
    columns = {"text_id_column": "question_id", "image_id_column": "image_id"}
    model = load_model(f"logits:{tmp_path / 'grid.parquet'}", **columns)
    np.testing.assert_array_equal(model.grid_for(cells, data), grid)
    # Of a part of the data it is the part of the grid.
    rows = np.arange(0, 60, 3)
    part = pick(data, rows, None)
    of_part = find_cells(part)
    texts = cells.row_index[rows[np.unique(of_part.row_index, return_index=True)[1]]]
    images = cells.column_index[rows[of_part.sides[1].examples]]
    np.testing.assert_array_equal(model.grid_for(of_part, part), grid[np.ix_(texts, images)])
    data.columns["question_id"] = "q99"
    with pytest.raises(
        ModelError, match=r"first that is missing is 'q99'; name the column with text_id_c"
    ):
        model.grid_for(cells, data)
    # Texts themselves and files of images are names, too.
    files = [f"{number}.png" for number in cells.column_index]
    bare = replace(data, columns=None, image_keys=[f"/srv/images/{file}" for file in files])
    table["text_id"] = [cells.row_words[u] for u in text.ravel()]
    table["image_id"] = [str(w) for w in image.ravel()]
    table.drop(columns="question_id").to_parquet(tmp_path / "grid.parquet")
    model = load_model(f"logits:{tmp_path / 'grid.parquet'}")
    np.testing.assert_array_equal(model.grid_for(cells, bare), grid)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"limit": 25}, {"limit": 25, "seed": 4}])
def test_a_sample_of_the_data_takes_its_part_of_a_grid_of_all(settings, tmp_path):
    data = make_examples()
    whole = emap.compute(Staged(), data, out=tmp_path / "whole", keep="grid", n_resamples=100)
    np.save(tmp_path / "grid.npy", whole.grid.load())
    ours, theirs = (
        emap.compute(model, data, out=tmp_path / out, data_args=settings, n_resamples=100)
        for model, out in ((f"logits:{tmp_path / 'grid.npy'}", "ours"), (Staged(), "theirs"))
    )
    assert ours.ids == theirs.ids and len(ours.ids) == 25
    np.testing.assert_allclose(ours.decomposition.emap, theirs.decomposition.emap, atol=1e-5)


def held(arrays):
    """Return a grid with index arrays as a file names them."""
    index = {name.removesuffix("_index"): arrays[name] for name in arrays if "_index" in name}
    rest = {name: array for name, array in arrays.items() if "_index" not in name}
    return GridModel(**rest, index=index)


def test_every_example_with_every_other_is_taken_too(cells, grid):
    square = grid[np.ix_(cells.row_index, cells.column_index)]
    assert square.shape == (N, N, 3)
    np.testing.assert_array_equal(GridModel(square).grid_for(cells), grid)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    settings = {"keep": "grid", "device": "cpu", "n_resamples": 100, "data_args": {"limit": 60}}
    return emap.compute("demo:concat", "demo:easy-vqa", out=out, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("square", [False, True], ids=["unique", "square"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_a_run_s_grid_gives_the_same_table_without_its_model(
    suffix, square, finished, tmp_path, capsys
):
    grid, where = finished.grid.load(), finished.decomposition
    if square:
        grid = grid[np.ix_(where.row_index, where.column_index)]
    WRITERS[suffix](tmp_path / f"grid.{suffix}", grid, finished.classes)
    work = ["--model", f"logits:{tmp_path / 'grid'}.{suffix}", "--data", "demo:easy-vqa"]
    work += ["--limit", "60", "--n-resamples", "100", "--out", str(tmp_path / "again")]
    work += ["--model-arg", f"classes={','.join(finished.classes)}"]
    assert main(["run", *work]) == 0
    said = capsys.readouterr().err
    # The model's own answers, before the run starts.
    for i in range(2):
        label = finished.classes[int(where.logits[i].argmax())]
        assert f"the model says {label}\n" in said
    again = emap.Run.load(tmp_path / "again")
    # A grid knows nothing of the model and of the weights that made it.
    named = {name: finished.record()[name] for name in ("run", "model", "dtype", "provenance")}
    assert again.record() | named == finished.record()
    pd.testing.assert_frame_equal(
        again.table(intervals=True), finished.table(intervals=True), check_exact=True
    )


def test_index_arrays_say_which_row_and_column_is_whose(cells, grid, tmp_path):
    text_order, image_order = np.array([2, 0, 1]), np.array([1, 0])
    path = tmp_path / "grid.npz"
    np.savez(
        path,
        grid=grid[text_order][:, image_order],
        text_index=np.argsort(text_order)[cells.row_index],
        image_index=np.argsort(image_order)[cells.column_index],
    )
    np.testing.assert_array_equal(load_model(f"logits:{path}").grid_for(cells), grid)


def test_a_grid_without_classes_has_one(cells, grid):
    model = GridModel(grid[:, :, 0], classes=["no", "yes"])
    assert model.grid_for(cells).shape == (N_TEXTS, N_IMAGES, 1)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"grid": np.zeros((4, 2, 3))}, ["4 texts × 2 images", "3 × 2", "5 × 5"]),
        ({"text_index": np.zeros(4, int), "image_index": np.zeros(4, int)}, ["cover 4", "has 5"]),
        (
            {"text_index": np.array([0, 0, 0, 1, 2]), "image_index": np.array([0, 1, 1, 0, 0])},
            ["text_index", "examples 0 and 1"],
        ),
    ],
)
def test_a_grid_of_other_data_is_refused(cells, grid, arrays, words, tmp_path):
    arrays = {"grid": grid} | arrays
    np.savez(tmp_path / "of_others.npz", **arrays)
    for model in (held(arrays), load_model(f"logits:{tmp_path / 'of_others.npz'}")):
        with pytest.raises(ModelError) as caught:
            model.grid_for(cells)
        assert all(word in str(caught.value) for word in words), caught.value
    assert "of_others.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"grid": np.zeros(5)}, ["(5,)", "(texts, images, classes)"]),
        ({"grid": np.array([["a"]])}, ["expected numbers"]),
        ({"classes": ["cat"]}, ["1 class names for 3"]),
        ({"text_index": np.zeros(5, int)}, ["no image_index", "an index for each side"]),
        ({"text_index": np.full(5, 7), "image_index": np.zeros(5, int)}, ["reaches 7", "0 to 2"]),
        ({"text_index": np.zeros(5), "image_index": np.zeros(5, int)}, ["whole numbers"]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(grid, arrays, words):
    with pytest.raises(ModelError) as caught:
        held({"grid": grid} | arrays)
    assert all(word in str(caught.value) for word in words), caught.value


def test_there_is_no_model_behind_a_grid(grid):
    with pytest.raises(ModelError, match="is not a model"):
        GridModel(grid)(["a"], [None])
    with pytest.raises(SettingError, match="log_probabilities"):
        GridModel(grid, output="odds")


def test_files_that_hold_no_grid_are_refused(tmp_path, grid):
    np.savez(tmp_path / "two.npz", first=grid, second=grid)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 not really")
    (tmp_path / "grid.csv").write_text("1,2\n")
    pairs = pd.DataFrame({"text_id": [0, 0, 0], "image_id": [0, 1, 0], "score": 0.5})
    pairs.to_parquet(tmp_path / "twice.parquet")
    pairs.rename(columns={"text_id": "text"}).to_parquet(tmp_path / "column.parquet")
    for name, words in {
        "nowhere.npy": ["there is no grid"],
        "two.npz": ["first, second", "'grid'"],
        "torn.npz": ["cannot be read"],
        "grid.csv": [".npy", ".zarr"],
        "twice.parquet": ["2 rows for text 0 with image 0"],
        "column.parquet": ["no column 'text_id'", "text, image_id, score"],
    }.items():
        with pytest.raises((SpecError, EmapError)) as caught:
            load_model(f"logits:{tmp_path / name}")
        message = str(caught.value)
        assert name in message and all(word in message for word in words), message


class PairByPair:
    """`samples.score_pair` as a plain callable."""

    classes = ("zero", "one", "two")

    def __call__(self, texts, images):
        return np.stack([score_pair(t, v) for t, v in zip(texts, images, strict=True)])


def scored_elsewhere(pairs, data):
    """Add the logits of `samples.score_pair` to a list of pairs, by what it says of them."""
    shown = dict(zip(data.ids, data.images, strict=True))
    logits = [
        score_pair(text, shown[one])
        for text, one in zip(pairs["text"], pairs["image_of"], strict=True)
    ]
    return pairs.assign(**dict(zip(("zero", "one", "two"), np.transpose(logits), strict=True)))


@pytest.mark.slow
def test_a_part_of_the_pairs_gives_the_sampled_run_of_the_model_itself(tmp_path):
    data = make_examples(80, 20, 40)
    pairs = emap.pairs_to_score(data, 6, seed=3)
    assert len(pairs) < 20 * 40 / 3
    scored = scored_elsewhere(pairs, data)
    # Whatever the order, and with more pairs than are asked for.
    scored.sample(frac=1, random_state=0).to_parquet(tmp_path / "part.parquet")
    settings = {"method": "sampled", "images_per_text": 6, "seed": 3}
    spec = f"logits:{tmp_path / 'part.parquet'}"
    run = emap.compute(spec, data, out=tmp_path / "part", **settings)

    model = PairByPair()
    own = emap.compute(model, data, out=tmp_path / "own", fingerprint="x", **settings)
    for name in ("logits", "emap", "emap_leave_one_out", "sums_of_squares"):
        ours, theirs = (getattr(one.decomposition, name) for one in (run, own))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert run.manifest["n_pairs_evaluated"] == len(pairs)
    assert emap.estimate(spec, data, **settings).n_pairs >= len(pairs)


def test_pairs_that_a_method_reads_and_a_grid_lacks_are_told(tmp_path, capsys):
    data = make_examples(80, 20, 40)
    scored = scored_elsewhere(emap.pairs_to_score(data, 6), data)
    scored.to_parquet(tmp_path / "part.parquet")
    spec = f"logits:{tmp_path / 'part.parquet'}"
    with pytest.raises(ModelError, match=rf"has {len(scored)} of the 800 pairs .*method='sampled'"):
        emap.compute(spec, data)
    with pytest.raises(ModelError, match=r"lacks [0-9]+ of the [0-9]+ pairs of this sample"):
        emap.compute(spec, data, method="sampled", images_per_text=6, seed=1)
    with pytest.raises(ModelError, match="with images_per_text="):
        emap.compute(spec, data, method="sampled", until=0.1)
    pd.concat([scored, scored[:1]]).to_parquet(tmp_path / "twice.parquet")
    with pytest.raises(SpecError, match="has 2 rows for text"):
        load_model(f"logits:{tmp_path / 'twice.parquet'}")


@pytest.mark.parametrize("sampled", [{}, {"method": "sampled", "images_per_text": 6}])
@pytest.mark.parametrize("named", [False, True])
def test_any_part_of_the_pairs_is_completed_by_those_that_it_lacks(sampled, named, tmp_path):
    data = make_examples(80, 20, 40)
    data.columns = pd.DataFrame({"question": [f"q {text}" for text in data.texts]})
    everything = scored_elsewhere(emap.pairs_to_score(data), data)
    assert len(everything) == 800
    names = {"text_id_column": "question", "image_id_column": "image"} if named else {}
    if named:
        texts, keys = (list(dict.fromkeys(one)) for one in (data.texts, data.image_keys))
        everything["question"] = [f"q {texts[number]}" for number in everything.pop("text_id")]
        numbers = everything.pop("image_id")
        data.columns["image"] = [str(key) for key in data.image_keys]
        everything["image"] = [str(keys[number]) for number in numbers]
    part = everything.sample(frac=0.4, random_state=0)
    part.to_parquet(tmp_path / "part.parquet")
    k = sampled.get("images_per_text")
    missing = emap.pairs_to_score(data, k, there=tmp_path / "part.parquet", there_args=names)
    keys = list(missing.columns[:2])
    added = missing.merge(everything.drop(columns=["text", "image_of"]), on=keys)
    assert len(added) == len(missing) > 0
    assert not set(map(tuple, part[keys].values)) & set(map(tuple, added[keys].values))
    pd.concat([part, added]).to_parquet(tmp_path / "whole.parquet")
    work = {"device": "cpu", "model_args": names, **sampled}
    with pytest.raises(ModelError, match="with --there and the file"):
        emap.compute(f"logits:{tmp_path / 'part.parquet'}", data, out=tmp_path / "no", **work)
    run = emap.compute(f"logits:{tmp_path / 'whole.parquet'}", data, out=tmp_path / "run", **work)
    own = emap.compute(PairByPair(), data, out=tmp_path / "own", fingerprint="x", **sampled)
    np.testing.assert_allclose(run.decomposition.logits, own.decomposition.logits, atol=1e-5)
    np.testing.assert_allclose(run.decomposition.emap, own.decomposition.emap, atol=1e-5)


def test_pairs_are_listed_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "pairs.parquet"
    asked = ["pairs", "--data=demo:easy-vqa-yes-no", "--limit=30", "--images-per-text=4"]
    assert main([*asked, f"--out={out}"]) == 0
    listed = pd.read_parquet(out)
    assert f"{len(listed):,} pairs: {out}" in capsys.readouterr().out
    pd.testing.assert_frame_equal(
        listed,
        emap.pairs_to_score("demo:easy-vqa-yes-no", 4, data_args={"limit": 30, "seed": 0}),
    )
    there, rest = tmp_path / "there.parquet", tmp_path / "rest.parquet"
    listed.sample(n=90, random_state=0).assign(no=0.0, yes=1.0).to_parquet(there)
    assert main([*asked, f"--there={there}", f"--out={rest}"]) == 0
    both = pd.concat([pd.read_parquet(there), pd.read_parquet(rest)])[listed.columns]
    assert sorted(map(tuple, both.values)) == sorted(map(tuple, listed.values))
    assert main([*asked, "--out=pairs.csv"]) == 2
    assert "expected a .parquet file" in capsys.readouterr().err


SIDES = ("scene", "question", "hint")
SIZES = (4, 3, 2)


@pytest.fixture(scope="module")
def three():
    """Data of three sides, a grid of all their items, and its projection."""
    draws = np.random.default_rng(5)
    grid = draws.normal(size=(*SIZES, 2))
    index = {side: draws.integers(0, n, 30) for side, n in zip(SIDES, SIZES, strict=True)}
    index = {side: pd.factorize(one)[0] for side, one in index.items()}
    data = {
        "sides": {side: [f"{side} {i}" for i in one] for side, one in index.items()},
        "labels": draws.integers(0, 2, 30).tolist(),
        "classes": ["no", "yes"],
    }
    return data, grid, emap.decompose(grid, index=index)


def long_table(grid, sides=SIDES):
    items = dict(zip(sides, np.indices(grid.shape[:-1]).reshape(len(sides), -1), strict=True))
    return pd.DataFrame({f"{side}_id": one for side, one in items.items()}).assign(
        no=grid[..., 0].ravel(), yes=grid[..., 1].ravel()
    )


def of_three(form, folder, grid):
    """Write a grid in some form, and return its file and what its loader is told."""
    named = {"sides": ",".join(SIDES)}
    if form == "npy":
        np.save(folder / "grid.npy", grid)
        return "grid.npy", named
    if form == "npz":
        # In another order than the data, with names in the file.
        turned = np.moveaxis(grid, 2, 0)
        np.savez(folder / "grid.npz", grid=turned, sides=[SIDES[2], *SIDES[:2]])
        return "grid.npz", {}
    if form == "zarr":
        made = zarr.create_array(store=str(folder / "grid.zarr"), data=grid)
        made.attrs["sides"] = list(SIDES)
        return "grid.zarr", {}
    if form == "numbered rows":
        long_table(grid).sample(frac=1, random_state=0).to_parquet(folder / "grid.parquet")
        return "grid.parquet", named
    # Called as the data call them, in a column of another name.
    table = long_table(grid).rename(columns={"question_id": "asked"})
    for side, column in zip(SIDES, ("scene_id", "asked", "hint_id"), strict=True):
        table[column] = [f"{side} {number}" for number in table[column]]
    table.sample(frac=1, random_state=0).to_parquet(folder / "grid.parquet")
    return "grid.parquet", {"sides": "scene,question=asked,hint"}


@pytest.mark.parametrize("form", ["npy", "npz", "zarr", "numbered rows", "named rows"])
def test_a_grid_of_three_named_sides_is_projected(form, three, tmp_path):
    data, grid, truth = three
    file, arguments = of_three(form, tmp_path, grid)
    run = emap.compute(
        f"logits:{tmp_path / file}", data, model_args=arguments, out=tmp_path / "run"
    )
    for side in SIDES:
        np.testing.assert_allclose(run.decomposition.effects[side], truth.effects[side], atol=1e-6)
    np.testing.assert_allclose(run.decomposition.logits, truth.logits, atol=1e-6)
    np.testing.assert_allclose(run.decomposition.projection(2), truth.projection(2), atol=1e-6)
    for some, share in truth.terms.items():
        names = tuple(side for side in run.decomposition.sides if side in some)
        np.testing.assert_allclose(run.decomposition.terms[names], share, atol=1e-6)


def test_index_arrays_name_the_items_of_three_sides_and_a_sample_takes_its_part(three, tmp_path):
    data, grid, truth = three
    index = {f"{side}_index": one for side, one in zip(SIDES, truth.index, strict=True)}
    turned = grid[::-1]
    index["scene_index"] = SIZES[0] - 1 - index["scene_index"]
    np.savez(tmp_path / "grid.npz", grid=turned, sides=SIDES, **index)
    spec = f"logits:{tmp_path / 'grid.npz'}"
    run = emap.compute(spec, data, out=tmp_path / "run")
    np.testing.assert_allclose(run.decomposition.emap, truth.emap, atol=1e-6)
    some = emap.compute(spec, data, out=tmp_path / "some", data_args={"limit": 20})
    rows = [int(name) for name in some.ids]
    np.testing.assert_allclose(some.decomposition.logits, truth.logits[rows], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "drop", "kind", "words"),
    [
        ({}, 0, SpecError, "has no column 'text_id'; it has scene_id, question_id, hint_id, no, y"),
        ({"sides": "scene,question,hint"}, 1, ModelError, "has 23 of the 24 combinations of the"),
        ({"sides": "scene,question,clue"}, 0, SpecError, "has no column 'clue_id'"),
        ({"sides": "scene,question,clue=hint_id"}, 0, EmapError, "reads scene, question and clue"),
    ],
)
def test_what_is_wrong_with_a_table_of_three_sides_is_told(
    arguments, drop, kind, words, three, tmp_path
):
    data, grid, _ = three
    long_table(grid)[drop:].to_parquet(tmp_path / "grid.parquet")
    with pytest.raises(kind, match=words):
        emap.compute(f"logits:{tmp_path / 'grid.parquet'}", data, model_args=arguments)


def test_axes_of_three_sides_without_names_are_asked_for(three, tmp_path):
    data, grid, _ = three
    np.save(tmp_path / "grid.npy", grid)
    with pytest.raises(ModelError, match="name the sides of its axes with sides="):
        emap.compute(f"logits:{tmp_path / 'grid.npy'}", data)
    with pytest.raises(ModelError, match=r"has 2 items of scene × 3 .* examples: expected 4 × 3"):
        model = GridModel(grid[:2], sides=SIDES)
        emap.compute(model, data, fingerprint="x")
