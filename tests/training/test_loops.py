"""The callbacks in the loops that they are for."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from samples import make_examples
from trained import Network, batch, to_model, watching

transformers = pytest.importorskip("transformers")


@pytest.fixture
def data():
    return make_examples(n=20, n_texts=9, n_images=10)


def rows():
    t, v, labels = batch(make_examples(seed=1))
    return [{"t": t[i], "v": v[i], "labels": labels[i]} for i in range(len(t))]


def test_the_trainer_is_told_at_every_so_many_steps_and_at_the_end(data):
    from emap_core.training import trainer_callback

    logged: list = []
    trainer = SimpleNamespace(log=logged.append)
    callback = trainer_callback(trainer, watching(data), every=2)
    handler = transformers.trainer_callback.CallbackHandler([callback], Network(), None, None, None)
    state = transformers.TrainerState(max_steps=3)
    control = transformers.TrainerControl()
    for state.global_step in (1, 2, 3):
        handler.on_step_end(None, state, control)
    assert len(logged) == 2 and all("emap/accuracy_gap" in one for one in logged)
    state.is_world_process_zero, state.global_step = False, 4
    handler.on_step_end(None, state, control)
    assert len(logged) == 2


def test_the_trainer_itself_keeps_and_reports_the_numbers(data, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "logs"))
    pytest.importorskip("accelerate")
    pytest.importorskip("tensorboard")
    from emap_core.training import trainer_callback

    # Here `datasets` is a folder of tests, not the library.
    monkeypatch.setattr("transformers.trainer.is_datasets_available", lambda: False)
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=3,
        report_to="tensorboard",
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
    )
    trainer = transformers.Trainer(Network(), arguments, train_dataset=rows())
    trainer.add_callback(trainer_callback(trainer, watching(data), every=2))
    trainer.train()
    steps = [one["step"] for one in trainer.state.log_history if "emap/accuracy_gap" in one]
    assert steps == [2, 3]
    assert "train/emap/accuracy_gap_low" in scalars(tmp_path / "logs")


def test_lightning_itself_logs_the_numbers(data, tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")
    pytest.importorskip("tensorboard")
    from emap_core.training import lightning_callback

    base: Any = lightning.LightningModule

    class Module(base):
        def __init__(self):
            super().__init__()
            self.network = Network()

        def training_step(self, one, _):
            return self.network(**one)["loss"]

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    gap = watching(data, to_model=lambda module: to_model(module.network))
    trainer = lightning.Trainer(
        max_steps=3,
        accelerator="cpu",
        logger=lightning.loggers.TensorBoardLogger(str(tmp_path)),
        callbacks=[lightning_callback(gap, every=2)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), torch.utils.data.DataLoader(rows(), batch_size=20))
    found = scalars(tmp_path)
    assert [one.step for one in found["emap/accuracy_gap_low"]] == [2, 3]


def scalars(folder):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    return {
        tag: multiplexer.Scalars(run, tag)
        for run, of_run in multiplexer.Runs().items()
        for tag in of_run["scalars"]
    }
