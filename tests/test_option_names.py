"""Whatever option a message names exists under that name where the reader is."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from emap_core import compute, datasets, models, specs
from emap_core.cli import _parser
from emap_core.datasets.table import load_table
from emap_core.engine import compute_shard
from emap_core.engine.request import Request
from emap_core.engine.settings import Settings
from emap_core.methods.method_settings import SETTINGS
from emap_core.option_names import (
    BOXES,
    CHOICES,
    DATA_FLAGS,
    PLACES,
    TABLE_BOXES,
    TYPED,
    option,
    option_name,
    speaking,
    with_options_named,
)
from emap_core.probes.ask import probes_named

HOUSE = Path(__file__).parents[1]
COLUMNS = ("text", "image", "label", "id", "regions")


def in_messages() -> set[tuple[str, str, str | None]]:
    """Return whose option, its name and its value for every option that a message may hold."""
    found = set()
    for file in (HOUSE / "emap_core").rglob("*.py"):
        if not re.search(r"\boption(_name)?\(", source := file.read_text()):
            continue
        for call in ast.walk(ast.parse(source)):
            called = getattr(getattr(call, "func", None), "id", None)
            if called not in ("option", "option_name"):
                continue
            given = dict(zip(("name", "value", "of"), call.args, strict=False))  # type: ignore[attr-defined]
            if called == "option_name":
                given = dict(zip(("name", "of"), call.args, strict=False))  # type: ignore[attr-defined]
            given |= {keyword.arg: keyword.value for keyword in call.keywords}  # type: ignore[attr-defined]
            of = getattr(given.get("of"), "value", "run" if called == "option_name" else "data")
            value = getattr(given.get("value"), "value", None)
            name = given["name"]
            if isinstance(name, ast.Constant):
                names = [name.value]
            elif isinstance(name, ast.JoinedStr):
                ending = name.values[-1].value  # type: ignore[attr-defined]
                sides = COLUMNS if ending == "_column" else COLUMNS[:2]
                names = [f"{what}{ending}" for what in sides]
            elif of == "data":
                # Patterns of a table.
                given_to = inspect.signature(load_table).parameters
                names = [one for one in given_to if one.endswith("_pattern")]
            else:
                # Settings of a run, of which each is looked at by its name.
                names = [field.name for field in fields(Settings)]
            found |= {(of, each, value if isinstance(value, str) else None) for each in names}
    return found  # type: ignore[return-value]


NAMED = sorted(in_messages(), key=str)


@cache
def arguments_of(of: str) -> set[str]:
    if of == "run":
        functions = [Settings, compute, compute_shard, probes_named]
    else:
        loaders: specs.Loaders = datasets.LOADERS if of == "data" else models.LOADERS
        functions = [specs.loader_of(loaders, prefix) for prefix in loaders]
        functions += [datasets.load_dataset, load_table] if of == "data" else []
    return {name for one in functions for name in inspect.signature(one).parameters}


@cache
def flags() -> set[str]:
    commands = next(action for action in _parser()._actions if action.choices)
    return {
        flag for name in ("run", "probe") for flag in commands.choices[name]._option_string_actions
    }


@cache
def boxes() -> set[str]:
    """Return the arguments whose box the Run page draws."""
    page = (HOUSE / "pages" / "run.py").read_text()
    drawn = set(re.findall(r'BOXES\["(\w+)"\]', page))
    assert 'BOXES[f"{what}_column"]' in page
    assert "BOXES[one.name]" in page and "BOXES[name]" in page
    drawn |= set(TABLE_BOXES)
    drawn |= {one.name for one in SETTINGS if one.box is not None}
    return drawn | {f"{what}_column" for what in ("text", "image", "label", "regions")}


def test_many_options_are_named():
    assert len({name for _, name, _ in NAMED}) > 30
    assert {of for of, _, _ in NAMED} >= {"run", "data"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("of", "name", "value"), NAMED)
def test_it_is_there(of, name, value, place):
    with speaking(place):
        bare = with_options_named(option_name(name, of))
        shown = with_options_named(option(name, value, of))
    if place == "python":
        assert name in arguments_of(of)
        assert bare == name and shown.startswith(f"{name}=")
        return
    if place == "terminal":
        flag, *rest = bare.split()
        assert flag in flags()
        assert shown.split()[0] == flag
        if rest:
            assert flag == f"--{of}-arg" and rest == [name] and name in arguments_of(of)
        return
    if name in BOXES:
        assert name in boxes()
        assert bare == f"“{BOXES[name]}”" and shown.startswith(bare)
        if name in CHOICES and value is not None:
            assert shown == f"{bare} ({CHOICES[name][value]})"
    elif of in TYPED:
        assert bare == f"{name} under “{TYPED[of]}”" and name in arguments_of(of)
        assert f'TYPED["{of}"]' in (HOUSE / "pages" / "run.py").read_text().replace(
            "TYPED[what]", 'TYPED["data"] TYPED["model"]'
        )
    else:
        assert bare.endswith(" on the command line") and bare.split()[0] in flags()


def test_boxes_and_flags_are_of_arguments_that_there_are():
    everything = arguments_of("run") | arguments_of("data") | arguments_of("model")
    assert set(BOXES) <= everything and set(BOXES) == boxes()
    assert set(DATA_FLAGS) <= arguments_of("data")


def test_python_takes_every_option_of_the_data_that_a_message_names():
    named = {name for of, name, _ in in_messages() if of == "data"}
    assert {"task", "classes", "limit"} <= named
    request = Request.of(None, "csv:x.csv", **dict.fromkeys(named, "given"))
    assert request.data_args is not None and set(request.data_args) - {"seed"} == named


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("python", "until is 'soon'; give until=0.01 or metrics='accuracy'"),
        ("terminal", "--until is 'soon'; give --until 0.01 or --metric accuracy"),
        (
            "browser",
            "--until on the command line is 'soon'; give --until 0.01 on the command line or "
            "--metric accuracy on the command line",
        ),
    ],
)
def test_an_option_without_a_box_is_one_of_the_command_line(place, said):
    message = (
        f"{option_name('until')} is 'soon'; give {option('until', '0.01', 'run')} or "
        f"{option('metrics', 'accuracy', 'run')}"
    )
    with speaking(place):
        assert with_options_named(message).replace("until='0.01'", "until=0.01") == said


def test_choices_are_those_of_the_settings():
    from emap_core.engine.settings import KEEPS
    from emap_core.inference.resamples.population import CLUSTERS
    from emap_core.models.base import OUTPUTS
    from emap_core.option_names import UNKNOWN_LABELS

    assert set(CHOICES["keep"]) == {*KEEPS, "classes"}
    assert set(CHOICES["cluster"]) == set(CLUSTERS)
    assert set(CHOICES["output"]) == {None, *OUTPUTS}
    assert set(CHOICES["unknown_labels"]) == set(UNKNOWN_LABELS)
