"""What people are told when the code that they brought fails: what was raised, and where."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from samples import Staged, make_examples

import emap_core as emap
from emap_core.cli import main
from emap_core.errors import ModelError
from emap_core.own_code import place_in_own_code, with_place
from emap_core.runs import list_runs

MODULE = """
import torch
from samples import Staged, make_examples, picture


def deeper(texts):
    return {}["nothing"]


def callable_model():
    return lambda texts, images: deeper(texts)


class Late(Staged):
    calls = 0

    def score(self, texts, images):
        self.calls += 1
        if self.calls > 12:
            raise ValueError("a line\\nand another")
        return super().score(texts, images)


class Encoder(Staged):
    def encode_images(self, images):
        deeper(images)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, texts, images):
        return self.layer(torch.zeros(len(texts), 4))


def network():
    return Network().eval()


def factory():
    return 1 / 0


class Images:
    def __len__(self):
        return 60

    def __getitem__(self, number):
        if number == 41:
            raise FileNotFoundError("41.png")
        return picture(number % 7)


def lazy():
    made = make_examples()
    made.images, made.image_keys = Images(), None
    return made
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
    yield tmp_path
    sys.modules.pop("own", None)


def line_of(words):
    return next(n for n, line in enumerate(MODULE.splitlines(), start=1) if words in line)


@pytest.mark.parametrize(
    ("model", "data", "raised", "words", "function"),
    [
        ("own:callable_model", "own:make_examples", "KeyError: 'nothing'", "{}[", "deeper"),
        ("own:Late", "own:make_examples", "ValueError: a line and another", "a line", "score"),
        ("own:Encoder", "own:make_examples", "KeyError: 'nothing'", "{}[", "deeper"),
        ("own:network", "own:make_examples", "4 and 3x2)", "self.layer(", "forward"),
        (
            "own:factory",
            "own:make_examples",
            "ZeroDivisionError: division by zero",
            "1 / 0",
            "factory",
        ),
        ("own:Staged", "own:factory", "ZeroDivisionError: division by zero", "1 / 0", "factory"),
        ("own:Staged", "own:lazy", "FileNotFoundError: 41.png", "raise File", "__getitem__"),
    ],
)
def test_what_own_code_raises_is_one_line_that_says_where(
    model, data, raised, words, function, here, capsys
):
    asked = ["run", "--model", model, "--data", data, "--batch-size", "20", "--progress", "none"]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    place = f"raised in own.py, line {line_of(words)} ({function})"
    assert f"{raised}, {place}" in said
    assert said.endswith("; set EMAP_TRACEBACK=1 to see the whole traceback\n")
    # A run that had begun says the same, and names no folder of this machine.
    for run in list_runs():
        assert run.status == "failed" and place in run.error
        assert str(here) not in run.error


def test_a_visitor_of_the_dashboard_is_told_the_place_as_well(here, capsys):
    work = ["--model", "own:callable_model", "--data", "own:make_examples"]
    assert main(["run", *work, "--progress", "json"]) == 2
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    place = f"own.py, line {line_of('{}[')} (deeper)"
    assert told == {"event": "failed", "message": f"KeyError: 'nothing', raised in {place}"}


def test_a_fault_of_ours_stays_a_traceback(here, monkeypatch):
    monkeypatch.setattr("emap_core.cli._data_args", len)
    with pytest.raises(TypeError, match="has no len"):
        main(["run", "--model", "own:network", "--data", "own:make_examples"])


@pytest.mark.process
def test_the_whole_traceback_is_shown_on_request(here):
    command = ["run", "--model", "own:callable_model", "--data", "own:make_examples"]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from emap_core.cli import main; raise SystemExit(main({command}))",
        ],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "EMAP_TRACEBACK": "1"},
        cwd=here,
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert f'own.py", line {line_of("{}[")}, in deeper' in done.stderr
    # Whoever has asked for it needs no hint how to.
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: KeyError: 'nothing'") and last.endswith("(deeper)")


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_libraries_are_not_own_code_wherever_they_lie(folder, tmp_path):
    library = tmp_path / "python3" / folder / "library.py"
    library.parent.mkdir(parents=True)
    library.write_text("1 / 0")
    assert "test_own_code.py" in place_of_what(library)
    own = tmp_path / "own.py"
    own.write_text("1 / 0")
    assert place_of_what(own) == "own.py, line 1 (<module>)"


@pytest.mark.parametrize("file", ["app.py", "pages/start.py", "emap_core/cli.py"])
def test_the_dashboard_is_not_own_code(file):
    assert "test_own_code.py" in place_of_what(Path(__file__).parents[1] / file)


def place_of_what(file):
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("1 / 0", str(file), "exec"))  # noqa: S102 - as if that file had raised it
    return place_in_own_code(caught.value)


def test_what_other_people_s_errors_say_is_short_and_moves_no_cursor():
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("\x1b[2J" + "size mismatch for layer " * 5000)
    said = with_place(caught.value)
    assert said.startswith(r"RuntimeError: \x1b[2Jsize mismatch") and len(said) < 1200
    assert "test_own_code.py, line " in said


def test_in_python_own_errors_come_as_they_are(tmp_path):
    def model(texts, images):
        raise LookupError("no such word")

    with pytest.raises(LookupError, match="no such word"):
        emap.compute(model, make_examples(), out=None)


def test_encodings_without_a_length_are_refused_in_words():
    class Silent(Staged):
        def encode_images(self, images):
            return None

    with pytest.raises(ModelError, match="encode_images returned encodings without a length"):
        emap.compute(Silent(), make_examples(), out=None)


@pytest.mark.parametrize("device", ["x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_for_every_kind_of_model(device):
    def model(texts, images):
        return np.zeros((len(texts), 2))

    with pytest.raises(ModelError, match=f"device '{device}' cannot be used: ") as of_callable:
        emap.compute(model, make_examples(), out=None, device=device)
    with pytest.raises(ModelError) as of_network:
        emap.compute("demo:concat", "demo:easy-vqa", limit=20, out=None, device=device)
    assert str(of_callable.value) == str(of_network.value)
