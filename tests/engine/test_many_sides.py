"""Runs of three sides and more: the whole grid of combinations, held against brute force."""

import io
import json
import wave

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import emap_core as emap
from emap_core import cli
from emap_core.datasets.demo_digits import load
from emap_core.engine.noise import FEW
from emap_core.errors import DatasetError, ModelError, RunError, SettingError
from emap_core.modalities import Side
from emap_core.modalities.audio import Sound
from emap_core.runs import Run

NAMES = ("question", "picture", "sound", "reading")
SIZES = (5, 4, 3, 2)
N = 40


def item(side, number):
    """Return an item of a side, whose content says which it is."""
    if side == "question":
        # Not in the order of their lengths.
        return "is it so" + " now" * (3 * number % 5)
    if side == "picture":
        return Image.new("RGB", (6, 6), (40 * number, 0, 0))
    if side == "sound":
        return Sound(np.full(80 * (number + 1), 0.25, np.float32), 8_000)
    return np.full(3, number / 4)


def value_of(one):
    if isinstance(one, str):
        return one.count("now") / 3 - 0.4
    if isinstance(one, Sound):
        return len(one.samples) / 160 - 1
    if isinstance(one, np.ndarray):
        return one.mean() + 0.7
    return np.asarray(one)[0, 0, 0] / 60 - 0.6


def fused(values):
    """Return two outputs with terms of every order, of values whose shapes fit together."""
    whole, total = 1.0, 0.0
    for k, value in enumerate(values, start=1):
        whole = whole * (value + k / 5)
        total = total + value
    return np.stack([whole + 0.3 * total, total**2 - whole], axis=-1)


class Staged:
    """Encodes items to numbers, and fuses them."""

    classes = ("no", "yes")
    fingerprint = "many sides"

    def __init__(self, n_sides):
        self.sides = NAMES[:n_sides]
        self.n_encoded = dict.fromkeys(self.sides, 0)

    @property
    def encoders(self):
        return {side: lambda items, side=side: self._encoded(side, items) for side in self.sides}

    def _encoded(self, side, items):
        self.n_encoded[side] += len(items)
        return np.array([value_of(one) for one in items])

    def score(self, *encoded):
        return fused(encoded)


class WithGrid(Staged):
    def score_grid(self, *encoded):
        return fused(np.ix_(*encoded))


class Ragged(Staged):
    """Items of unlike shapes, which cannot stand in one array."""

    def _encoded(self, side, items):
        values = super()._encoded(side, items)
        width = 1 + (side in ("question", "sound") and int(values[0] > 0))
        return np.repeat(values[:, None], width, axis=1)

    def score(self, *encoded):
        return fused([one[:, 0] for one in encoded])


def one_by_one(*items):
    return fused([np.array([value_of(one) for one in of_side]) for of_side in items])


def index_of(n_sides, seed=0):
    """Return numbers of items by side: all are used, some often, so that shares differ."""
    rng = np.random.default_rng(seed)
    found = {}
    for side, size in zip(NAMES[:n_sides], SIZES[:n_sides], strict=True):
        often = rng.choice(size, N - size, p=rng.dirichlet(np.ones(size)))
        found[side] = rng.permutation(np.concatenate([np.arange(size), often]))
    return found


def data_of(n_sides):
    index = index_of(n_sides)
    sides = {side: [item(side, number) for number in index[side]] for side in index}
    rng = np.random.default_rng(1)
    return {"sides": sides, "labels": rng.choice(["no", "yes"], N).tolist()}


def expected(n_sides):
    """Return the decomposition of all combinations, items in order of first appearance."""
    index, unique = {}, []
    for side, numbers in index_of(n_sides).items():
        order = list(dict.fromkeys(numbers.tolist()))
        index[side] = np.array([order.index(number) for number in numbers])
        unique.append(np.array([value_of(item(side, number)) for number in order]))
    return emap.decompose(fused(np.ix_(*unique)), index=index)


def assert_same(found, truth):
    assert found.sides == truth.sides
    for name in ("logits", "mean", "sums_of_squares", "centred_variance"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), atol=1e-10)
    for name in ("index", "shares", "side_means"):
        for one, other in zip(getattr(found, name), getattr(truth, name), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-10)
    for name in ("joint_means", "centred_joint_squares"):
        assert getattr(found, name).keys() == getattr(truth, name).keys()
        for some, values in getattr(truth, name).items():
            np.testing.assert_allclose(getattr(found, name)[some], values, atol=1e-10)
    for order in range(1, len(truth.sides) + 1):
        np.testing.assert_allclose(found.projection(order), truth.projection(order), atol=1e-10)


@pytest.mark.parametrize("n_sides", [3, 4])
@pytest.mark.parametrize("settings", [{}, {"batch_size": 7}, {"keep": "sums", "batch_size": 13}])
@pytest.mark.parametrize("kind", [Staged, WithGrid, Ragged, "callable"])
def test_a_run_is_the_decomposition_of_all_combinations(kind, settings, n_sides, tmp_path):
    model = one_by_one if kind == "callable" else kind(n_sides)
    run = emap.compute(model, data_of(n_sides), out=tmp_path / "run", **settings)
    assert_same(run.decomposition, expected(n_sides))
    assert run.sizes == SIZES[:n_sides]
    assert run.manifest["n_pairs_evaluated"] == np.prod(run.sizes)
    if kind != "callable":
        for side, size in zip(run.sides, run.sizes, strict=True):
            assert size <= model.n_encoded[side.name] <= size + 2 * FEW


def test_what_is_kept_changes_no_bit(tmp_path):
    runs = [
        emap.compute(WithGrid(4), data_of(4), out=tmp_path / keep, keep=keep, batch_size=16)
        for keep in ("grid", "sums")
    ]
    assert runs[0].decomposition.equals(runs[1].decomposition)
    assert runs[1].grid is None and runs[0].grid.shape == (*SIZES, 2)


@pytest.mark.parametrize("n_sides", [3, 4])
def test_the_grid_and_means_of_two_sides_are_kept(n_sides, tmp_path):
    run = emap.compute(Staged(n_sides), data_of(n_sides), out=tmp_path / "run")
    d = run.decomposition
    grid = run.grid.load()
    assert grid.shape == (*SIZES[:n_sides], 2)
    np.testing.assert_allclose(grid[d.index], d.logits, atol=1e-6)
    cell = tuple(size - 1 for size in run.sizes)
    np.testing.assert_array_equal(run.grid.cell(*cell), grid[cell])
    np.testing.assert_array_equal(run.grid.column(*cell[1:]), grid[(slice(None), *cell[1:])])
    np.testing.assert_array_equal(run.grid.row(2), grid[2])
    np.testing.assert_array_equal(run.class_grid(1), grid[..., 1])
    whole = np.empty_like(grid)
    for rows, cells in run.grid.strips():
        whole[rows] = cells
    np.testing.assert_array_equal(whole, grid)

    axes = "abcd"[:n_sides]
    for first in range(n_sides):
        for second in set(range(n_sides)) - {first}:
            shares = [d.shares[k] for k in range(n_sides) if k not in (first, second)]
            others = ",".join(axes[k] for k in range(n_sides) if k not in (first, second))
            kept = f"{axes[first]}{axes[second]}z"
            means = np.einsum(f"{others},{axes}z->{kept}", *shares, grid.astype(float))
            found = run.means_of_two(NAMES[first], NAMES[second])
            np.testing.assert_allclose(found, means, atol=1e-6)
    with pytest.raises(RunError, match="no means of 'question' and 'text' over other sides"):
        run.means_of_two("question", "text")


def test_items_of_every_side_are_kept_to_look_at_and_to_listen_to(tmp_path):
    run = emap.compute(Staged(4), data_of(4), out=tmp_path / "run")
    assert run.sides == (
        *(Side("question", "text"), Side("picture", "image"), Side("sound", "audio")),
        Side("reading", "array"),
    )
    index = index_of(4)
    for example in range(N):
        numbers = [int(run.decomposition.index[k][example]) for k in range(4)]
        assert run.texts[numbers[0]] == item("question", index["question"][example])
        assert run.words(1, numbers[1]) == f"picture {numbers[1] + 1}"
        with Image.open(io.BytesIO(run.poster(1, numbers[1]))) as poster:
            red = np.asarray(poster)[..., 0].mean()
        assert red == pytest.approx(40 * index["picture"][example], abs=4)
        with wave.open(io.BytesIO(run.content(2, numbers[2]))) as sound:
            assert sound.getnframes() == 80 * (index["sound"][example] + 1)
        assert run.words(2, numbers[2]) in run.words_of_side(2)
        assert run.poster(3, numbers[3])
    assert len(set(run.words_of_side(3))) == run.sizes[3]
    with pytest.raises(RunError, match="has no sound 3"):
        run.poster(2, 3)


@pytest.mark.parametrize("kind", [Staged, WithGrid])
def test_a_run_goes_on_where_it_was_cut_off(kind, tmp_path):
    whole = emap.compute(kind(3), data_of(3), out=tmp_path / "whole", batch_size=7)
    left = [6]

    class Fragile(kind):  # type: ignore[valid-type]
        def score(self, *encoded):
            left[0] -= 1
            if left[0] == 0:
                raise ZeroDivisionError
            return super().score(*encoded)

        score_grid = property()

    with pytest.raises(ZeroDivisionError):
        emap.compute(Fragile(3), data_of(3), out=tmp_path / "run", batch_size=7)
    model = kind(3)
    run = emap.compute(model, data_of(3), out=tmp_path / "run", batch_size=7)
    assert run.decomposition.equals(whole.decomposition)
    # A few, at first and at the end, to see whether it is the same model.
    assert max(model.n_encoded.values()) <= 2 * FEW
    assert run.poster(2, 1) == whole.poster(2, 1)


def test_shards_merge_to_the_bits_of_the_whole(tmp_path):
    whole = emap.compute(Staged(3), data_of(3), out=tmp_path / "whole", batch_size=6)
    shards = [
        emap.compute_shard(
            Staged(3), data_of(3), (number, 3), out=tmp_path / str(number), batch_size=6
        )
        for number in (1, 2, 3)
    ]
    merged = emap.merge_shards(shards, tmp_path / "merged")
    assert merged.decomposition.equals(whole.decomposition)
    np.testing.assert_array_equal(merged.grid.load(), whole.grid.load())
    np.testing.assert_array_equal(
        merged.means_of_two("question", "sound"), whole.means_of_two("question", "sound")
    )
    for place in (1, 2):
        assert merged.poster(place, 2) == whole.poster(place, 2)


def test_sides_are_matched_by_name_or_by_kind(tmp_path):
    data = data_of(3)
    turned = {**data, "sides": dict(reversed(data["sides"].items()))}
    run = emap.compute(Staged(3), turned, out=tmp_path / "names")
    assert_same(run.decomposition, expected(3))

    class ByKind(Staged):
        modalities = ("text", "image", "audio")

        def __init__(self):
            super().__init__(3)
            self._by_side = super().encoders
            self.sides = None  # type: ignore[assignment]

        @property
        def encoders(self):
            return self._by_side

    renamed = dict(zip("cba", turned["sides"].values(), strict=True))
    run = emap.compute(ByKind(), {**turned, "sides": renamed}, out=tmp_path / "kinds")
    assert run.sides == (Side("a", "text"), Side("b", "image"), Side("c", "audio"))
    np.testing.assert_allclose(run.decomposition.logits, expected(3).logits, atol=1e-10)


@pytest.mark.parametrize(
    ("model", "settings", "kind", "message"),
    [
        (
            lambda a, b: None,
            {},
            ModelError,
            r"data has 3 sides, question, picture, sound, .* write it with 3 arguments",
        ),
        (
            Staged(4),
            {},
            DatasetError,
            "reads question, picture, sound and reading, but the data has question, picture and",
        ),
        (Staged(3), {"density": "encodings"}, SettingError, "density.* is for two sides"),
        (Staged(3), {"train": data_of(3)}, SettingError, "train is for two sides"),
    ],
)
def test_what_is_defined_for_two_sides_is_refused_at_once(model, settings, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        emap.compute(model, data_of(3), out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_sums_that_do_not_fit_in_memory_are_refused(tmp_path, monkeypatch):
    # 12 columns, and 5 rows with 4 and with 3 items, each of 2 numbers of 8 bytes.
    monkeypatch.setattr("emap_core.engine.gate.MOST_BYTES_OF_SUMS", 16 * (12 + 5 * (4 + 3)))
    emap.compute(Staged(3), data_of(3), out=tmp_path / "run")
    monkeypatch.setattr("emap_core.engine.gate.MOST_BYTES_OF_SUMS", 16 * (12 + 5 * (4 + 3)) - 1)
    with pytest.raises(SettingError, match=r"question \(5\) × picture \(4\) × sound \(3\).* limit"):
        emap.compute(Staged(3), data_of(3), out=tmp_path / "other")


def test_a_side_that_never_differs_is_told(tmp_path):
    data = data_of(3)
    data["sides"]["sound"] = [item("sound", 0)] * N
    with pytest.raises(DatasetError, match=r"the same sound, .* 2 different pictures and 2 diff"):
        emap.compute(Staged(3), data, out=tmp_path / "run")


def test_one_command_takes_the_demo_of_three_sides_to_a_verdict(tmp_path, capsys):
    out = tmp_path / "run"
    asked = ["run", "--model", "demo:digits-joint", "--data", "demo:digits", "--out", str(out)]
    assert cli.main([*asked, "--cluster", "written+spoken", "--progress", "none"]) == 0
    told = capsys.readouterr().out
    assert "accuracy falls from 98.8%" in told.splitlines()[0]
    for words in ("Pairs of sides", "Written only", "Combinations evaluated: 30,000"):
        assert words in told
    assert cli.main(["show", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [side["n_items"] for side in record["sides"]] == [6, 100, 50]
    assert record["n_texts"] is None and record["n_images"] is None
    accuracy = record["metrics"]["accuracy"]
    assert accuracy["text_only"] is None
    assert accuracy["full"] > accuracy["pairs"] > accuracy["emap"]
    steps = accuracy["steps"]
    assert list(steps) == ["emap_leave_one_out", "pairs", "full"]
    assert steps["full"]["difference"] == pytest.approx(accuracy["full"] - accuracy["pairs"])

    # Of a single class there is nothing to be centred over, and decompose knows the truth.
    run, data, model = Run.load(out), load(), emap.load_model("demo:digits-joint")
    grid = model.score_grid(*(model.encoders[side](data.items[side]) for side in model.sides))
    truth = emap.decompose(grid, index=data.index)
    for some, share in truth.terms.items():
        assert record["variance_shares"][" × ".join(some)] == pytest.approx(share, abs=1e-6)
    assert record["variance_shares"]["pooled"]["interaction"] == pytest.approx(
        truth.pooled_shares[-1], abs=1e-6
    )
    for why in (run.why_no_measures, run.why_no_groups):
        assert "about two sides, but the run has 3: question, written, spoken." in str(why)
    with pytest.raises(SettingError, match=r"a question \(text\), a written \(image\) and a "):
        run.probe("two-towers")
    examples = run.examples()
    np.testing.assert_array_equal(examples["side_2_index"], run.decomposition.index[2])
    # The run has no kinds of its own, so those of the data are meant.
    by_kind = run.table(by="kind")
    assert set(by_kind.index) == {"parity", "order", "sameness"}
    assert by_kind.loc["parity", "gap"] > by_kind.loc["sameness", "gap"]


def test_what_is_drawn_is_named_by_sides_and_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(SettingError, match="cluster is 'image'; expected one of auto, none, quest"):
        emap.compute(lambda a, b, c: None, data_of(3), cluster="image", out=tmp_path / "run")
    run = emap.compute(Staged(3), data_of(3), cluster="picture+sound", out=tmp_path / "run")
    assert run.intervals().cluster == "picture+sound"


@pytest.fixture
def table(tmp_path):
    """Return a csv file of three sides, with sounds and pictures as files."""
    index = index_of(3)
    for number in range(SIZES[1]):
        item("picture", number).save(tmp_path / f"{number}.png")
    for number in range(SIZES[2]):
        (tmp_path / f"{number}.wav").write_bytes(item("sound", number).wav())
    frame = pd.DataFrame(
        {
            "asked": [item("question", number) for number in index["question"]],
            "png": [f"{number}.png" for number in index["picture"]],
            "heard": [f"{number}.wav" for number in index["sound"]],
            "label": data_of(3)["labels"],
            "voice": "a",
        }
    )
    frame.to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "data.csv"


SIDE = ["question=asked", "picture=png", "sound=heard"]


@pytest.mark.parametrize("side", [SIDE, " ".join(SIDE), [*SIDE[:2], "sound={heard}:audio"]])
def test_three_columns_of_a_table_are_three_sides(side, table, tmp_path):
    run = emap.compute(Staged(3), f"csv:{table}", data_args={"side": side}, out=tmp_path / "run")
    truth = expected(3)
    # Sounds come from 16 bits.
    np.testing.assert_allclose(run.decomposition.logits, truth.logits, atol=1e-10)
    np.testing.assert_allclose(run.decomposition.sums_of_squares, truth.sums_of_squares, atol=1e-10)
    assert run.words(2, 0).endswith(".wav")
    assert "voice" in run.columns and "asked" not in run.columns


def test_what_is_wrong_with_a_third_column_is_told(table):
    with pytest.raises(DatasetError, match="has no column 'none' for the sound"):
        emap.load_dataset(f"csv:{table}", side=[*SIDE[:2], "sound=none"])
    with pytest.raises(SettingError, match="two or more sides with different names"):
        emap.load_dataset(f"csv:{table}", side=[*SIDE, "picture=heard"])
    (table.parent / "1.wav").unlink()
    with pytest.raises(DatasetError, match=r"sound .*1\.wav in row \d+ of .* does not exist"):
        emap.load_dataset(f"csv:{table}", side=SIDE)
    data = emap.load_dataset(f"csv:{table}", side=SIDE, skip_bad=True, limit=6)
    assert len(data) == 6
    assert {len(one.items) for one in data.items_by_side} == {6}
    assert data.items_by_side[2].items[0].rate == 8_000


def test_data_with_another_sound_are_other_data(table):
    def fingerprint():
        return emap.load_dataset(f"csv:{table}", side=SIDE).fingerprint

    before = fingerprint()
    assert fingerprint() == before
    (table.parent / "2.wav").write_bytes(item("sound", 7).wav())
    assert fingerprint() != before
