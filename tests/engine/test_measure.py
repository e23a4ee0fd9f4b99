"""How large batches are, by a clock that goes as the test says."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from emap_core.engine import measure

CALL, PAIR = 1e-4, 1e-7
"""Seconds that a call of the model takes, and each of its pairs."""


class Machine:
    """A model on a machine that is now and then held up."""

    precision = "float32"
    scorer = SimpleNamespace(output_dtype=None, model=None)

    def __init__(self, held_up=(), encoding=0.0):
        self.now, self.calls, self.held_up, self.encoding = 0.0, 0, held_up, encoding
        self.row_items = self.column_items = SimpleNamespace(get=self._encode)

    def raw(self, rows, columns):
        n_texts, n_images = rows.stop - rows.start, columns.stop - columns.start
        self.calls += 1
        self.now += CALL + PAIR * n_texts * n_images + 0.004 * (self.calls in self.held_up)
        return np.zeros((n_texts, n_images, 2), np.float32)

    def convert(self, raw):
        return raw

    def _encode(self, _):
        self.now += self.encoding


@pytest.fixture
def batch_size(monkeypatch):
    monkeypatch.setattr(measure, "computed_dtype", lambda *_: "float32")

    def measured(machine, **settings):
        monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
        area = slice(0, 4096), slice(0, 4096)
        return measure.measure(machine, 2**27, area, **settings).batch_size

    return measured


def test_a_machine_that_is_held_up_for_moments_takes_batches_as_large(batch_size):
    alone = batch_size(Machine())
    assert alone >= 10 * CALL / PAIR
    assert batch_size(Machine(held_up=(3, 4, 5))) == alone


def test_slow_encoders_leave_time_to_measure_the_rest(batch_size):
    assert batch_size(Machine(encoding=0.03)) == batch_size(Machine())


def test_encoders_that_take_for_ever_are_not_waited_for(batch_size):
    machine = Machine(encoding=1.0)
    batch_size(machine)
    assert machine.now < 6


def test_nothing_is_measured_where_nothing_is_to_be_learnt(batch_size):
    machine = Machine()
    batch_size(machine, most=64, seconds=0.0)
    assert machine.calls == 5
