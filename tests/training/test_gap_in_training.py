"""The gap while a model is trained: the same numbers as a run's, and training none the wiser."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from samples import make_examples
from trained import Network, batch, to_model, watching

import emap_core as emap
from emap_core.datasets.sample import pick
from emap_core.errors import MissingExtraError
from emap_core.training import lightning_callback, trainer_callback


def train(network, gap=None, steps=4):
    """Train by hand, and return what was measured after every second step."""
    inputs, told = batch(make_examples(seed=1)), {}
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    network.train()
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        network(*inputs)["loss"].backward()
        optimizer.step()
        if gap is not None and step % 2 == 0:
            told[step] = gap(network, step)
    return told


@pytest.fixture
def data():
    return make_examples(n=20, n_texts=9, n_images=10)


@pytest.mark.slow
def test_numbers_are_those_of_a_run_of_the_network_as_it_is(data):
    network = Network()
    told = train(network, watching(data))
    assert list(told) == [2, 4]
    run = emap.compute(
        to_model(network.eval()), data, out=None, n_resamples=100, metrics=["accuracy"]
    )
    gap, last = run.gap("accuracy"), told[4]
    assert last["emap/n_examples"] == 20
    assert last["emap/accuracy"] == gap.full and last["emap/accuracy_emap"] == gap.projected
    assert last["emap/accuracy_gap_low"] == pytest.approx(gap.low)
    assert last["emap/accuracy_gap_high"] == pytest.approx(gap.high)
    assert last["emap/interaction_share"] == pytest.approx(run.shares.pooled_shares[2])


def test_training_goes_on_as_if_nothing_had_been_measured(data):
    plain = Network()
    train(plain)
    watched = Network()
    train(watched, watching(data))
    assert watched.training and watched.drop.training
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_sample_is_the_same_each_time_and_kept_runs_name_their_step(data, tmp_path):
    gap = watching(data, most_examples=12, runs=tmp_path)
    network = Network()
    assert all(one["emap/n_examples"] == 12 for one in train(network, gap).values())
    gap(network, 4)
    names = ["training-step-2", "training-step-4", "training-step-4-2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    runs = [emap.load_run(tmp_path / name) for name in names]
    assert [run.manifest["settings"]["step"] for run in runs] == [2, 4, 4]
    assert len({tuple(run.ids) for run in runs}) == 1


def test_what_takes_too_long_is_given_up_and_told(data):
    gap, network = watching(data, seconds=1e-9), Network()
    for n in (8, 4, 4):
        with pytest.warns(UserWarning, match=f"was stopped; the next measurement uses {n}"):
            assert set(gap(network, 2)) == {"emap/n_examples", "emap/seconds"}


def test_a_mistake_is_told_at_once_and_later_stops_no_training(data):
    wrong = pick(data, np.arange(20), None)
    wrong.labels = ["nobody"] * 20
    with pytest.raises(emap.EmapError, match="nobody"):
        watching(wrong)(Network())
    gap, network = watching(data), Network()
    gap(network)
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))
    with pytest.warns(UserWarning, match="the gap was not measured: the model returned nan"):
        gap(network, 2)
    with pytest.raises(emap.EmapError, match="seconds is 0; expected a number above 0"):
        watching(data, seconds=0)


def test_lightning_gets_the_numbers_through_its_loggers(data, monkeypatch):
    """Against its public interface; the library itself is used where it is installed."""
    library = ModuleType("pytorch_lightning")
    vars(library)["Callback"] = object
    monkeypatch.setitem(sys.modules, "pytorch_lightning", library)
    logged: list = []
    logger = SimpleNamespace(log_metrics=lambda numbers, step: logged.append((step, numbers)))
    trainer = SimpleNamespace(global_step=0, is_global_zero=True, loggers=[logger])
    callback, network = lightning_callback(watching(data), every=2), Network()
    # Two batches a step: gradients are accumulated.
    for trainer.global_step in (0, 1, 1, 2, 2, 3):
        callback.on_train_batch_end(trainer, network, None, None, 0)
    callback.on_train_end(trainer, network)
    assert [step for step, _ in logged] == [2, 3]
    assert "emap/accuracy_gap_low" in logged[0][1]
    trainer.is_global_zero, trainer.global_step = False, 4
    callback.on_train_batch_end(trainer, network, None, None, 0)
    assert len(logged) == 2


@pytest.mark.library
def test_without_the_library_a_callback_says_what_to_install(data, monkeypatch):
    for name in ("transformers", "lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[hf\]'"):
        trainer_callback(None, watching(data))
    with pytest.raises(MissingExtraError, match="pip install lightning"):
        lightning_callback(watching(data))
