"""The command line: the same engine without a browser.

Exit codes: 0 finished; 1 a gap is below --fail-under, or an internal error; 2 wrong input; 130 or
143 stopped by SIGINT or SIGTERM (the same command resumes).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import io
import json
import os
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from emap_core import __version__, methods
from emap_core.downloads import listening_to_downloads
from emap_core.errors import Cancelled, EmapError, MissingExtraError, RunError, SettingError
from emap_core.human_readable import counted
from emap_core.installation import computing, program, with_extra
from emap_core.methods.method_settings import SETTINGS
from emap_core.option_names import LABELS_AS, ORDERS, UNKNOWN_LABELS, place_told, speaking
from emap_core.own_code import TRACEBACK_VARIABLE, place_in_own_code, with_place
from emap_core.specs import typed_arguments
from emap_core.untrusted_text import visible

_COLUMNS = {
    "text": "column of the texts",
    "image": "column of the images",
    "label": "column of the labels",
    "id": "column of the ids",
    "regions": "column of image regions, which the model reads instead of images",
}
_TABLE_SETTINGS: dict[str, dict[str, Any]] = {
    "--records": {
        "metavar": "NAME",
        "help": "name of the value in a JSON file that holds the examples",
    },
    "--delimiter": {
        "metavar": "SIGN",
        "help": "character between the values of csv:FILE, if not a tab, comma, semicolon or bar",
    },
    "--column-names": {
        "metavar": "A,B,…",
        "help": "for a csv:FILE whose first line is an example",
    },
    "--join": {
        "action": "append",
        "metavar": "FILE:KEY",
        "help": "add the columns of another file to rows with the same KEY (KEY=OTHER if the file "
        "calls it OTHER); repeatable",
    },
    "--side": {
        "action": "append",
        "metavar": "NAME=COLUMN",
        "help": "instead of text and image: a side of the data, NAME=COLUMN:MODALITY if the "
        "modality is not clear, or a pattern of columns for COLUMN; repeat it in the order in "
        "which the model reads the sides",
    },
    "--image-root": {"metavar": "FOLDER", "help": "folder of the images, if not beside the table"},
    "--image-pattern": {
        "metavar": "PATTERN",
        "help": "path of a row's image, with columns in braces: "
        "val2014/COCO_val2014_{image_id:012d}.jpg",
    },
    "--text-pattern": {"metavar": "PATTERN", "help": "text of a row, likewise"},
    "--fetch-images": {
        "action": "store_true",
        "help": "download images given as addresses, each once",
    },
    "--choices-column": {
        "metavar": "NAME",
        "help": "column of the options to choose from, or A,B,…: the text lists them, and their "
        "letters are the classes",
    },
    "--classes-file": {"metavar": "FILE", "help": "names of the classes, one per line, or JSON"},
    "--merge-labels": {
        "action": "store_true",
        "help": "merge labels that differ only in capitals, spaces or a full stop",
    },
    "--keep-empty": {
        "choices": ("text", "image", "both"),
        "help": "accept examples without a text, and give those without an image a white one",
    },
}
_KEYWORD: dict[str, Any] = {
    "action": "append",
    "default": [],
    "metavar": "K=V",
    "help": "keyword argument for its loader; repeatable",
}
_RUN_SETTINGS: dict[str, dict[str, Any]] = {
    "--method": {"choices": methods.NAMES, "help": f"{methods.DEFAULT} by default"},
    **{
        f"--{setting.name.replace('_', '-')}": {
            "type": setting.kind,
            "metavar": setting.symbol,
            "help": setting.meaning,
        }
        for setting in SETTINGS
    },
    "--seed": {"type": int, "help": "seed of samples, resamples and --limit"},
    "--output": {
        "choices": ("logits", "log_probabilities", "probabilities"),
        "help": "what the model returns, if it does not say so itself",
    },
    "--space": {"help": "logits (default), log_probabilities or probabilities"},
    "--keep": {
        "choices": ("auto", "grid", "sums"),
        "help": "what to keep; auto keeps the grid if it fits",
    },
    "--keep-classes": {
        "metavar": "N",
        "help": "keep the grid of the N most frequent classes, or of classes A,B,…, and the sums "
        "of all",
    },
    "--grid-budget": {
        "type": int,
        "metavar": "BYTES",
        "help": "size limit for --keep auto; 2 GiB by default",
    },
    "--picture-budget": {
        "type": int,
        "metavar": "BYTES",
        "help": "disk space for pictures of about 1,024 pixels per side, shared equally; 128 MB by "
        "default",
    },
    "--batch-size": {
        "type": int,
        "metavar": "N",
        "help": "pairs (with more than two sides, combinations) per batch; measured by default",
    },
    "--device": {"help": "auto (default), cpu, cuda, mps"},
    "--precision": {"help": "float32 (default), bfloat16 or float16"},
    "--engine": {"choices": ("local", "ray"), "help": "ray shares the tiles out to workers"},
    "--address": {"help": "address of a Ray cluster; a local one by default"},
    "--cpus-per-worker": {"type": int, "metavar": "N", "help": "with ray; 1 by default"},
    "--cluster": {
        "metavar": "NAME",
        "help": "what intervals resample whole: auto (default, items that repeat), none, text, "
        "image or both; other sides by name, joined by + if there are more than two",
    },
    "--n-resamples": {
        "type": int,
        "metavar": "B",
        "help": "resamples for intervals, in total; 400 by default",
    },
    "--unknown-labels": {
        "choices": UNKNOWN_LABELS,
        "help": "labels that are not classes of the model: error (default), wrong counts them as "
        "wrong, skip leaves the examples out; the result says so",
    },
    "--name": {"help": "name of the run in every list"},
    "--step": {
        "type": int,
        "metavar": "N",
        "help": "training step of these weights, for the curve over training in Compare",
    },
    "--density": {
        "choices": ("off", "encodings"),
        "help": "encodings: also say what changes if unlikely pairs count less",
    },
    "--fingerprint": {
        "metavar": "NAME",
        "help": "a name for a model that has none, so that its run can resume",
    },
}
_TAG: dict[str, Any] = {"action": "append", "default": [], "metavar": "TAG"}
_MARGIN: dict[str, Any] = {
    "type": float,
    "metavar": "X",
    "help": "equivalence margin: the smallest gap that matters, in units of the first metric; by "
    "default 0.01, which is 1 point of accuracy, or 1%% of the best constant's score if the metric "
    "has units",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's mistake is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        # Where a terminal or a pipe is not in UTF-8, an arrow becomes a question mark.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
    arguments = _parser().parse_args(argv)
    with speaking(place_told("terminal")):
        return _told(arguments)


def _told(arguments: argparse.Namespace) -> int:
    try:
        with computing():
            return int(arguments.command(arguments) or 0)
    except Cancelled as error:
        print(error, file=sys.stderr)
        return 128 + (_Stop.signal or signal.SIGINT)
    except BrokenPipeError:
        return 0
    except Exception as error:
        place = place_in_own_code(error)
        if place is None and not isinstance(error, EmapError):
            raise
        asked = bool(os.environ.get(TRACEBACK_VARIABLE))
        if asked:
            traceback.print_exception(error)
        said = with_place(error)
        if getattr(arguments, "progress", None) == "json":
            print(json.dumps({"event": "failed", "message": said}), flush=True)
        if place is not None and not asked:
            said += f"; set {TRACEBACK_VARIABLE}=1 to see the whole traceback"
        print(f"error: {' '.join(said.split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # While something is imported or loaded, or for the second time: nothing waits for a tile.
        print("stopped; start it again to resume it", file=sys.stderr)
        return 128 + (_Stop.signal or signal.SIGINT)


class _Stop:
    """The signal that asked the run to stop, if one did."""

    signal: int | None = None
    asked = threading.Event()

    @classmethod
    def listen(cls) -> None:
        cls.asked.clear()
        cls.signal = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, cls._stop)

    @classmethod
    def _stop(cls, number: int, _frame: Any) -> None:
        if cls.asked.is_set():
            raise KeyboardInterrupt
        cls.signal = number
        cls.asked.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program(), description=__doc__)
    parser.add_argument("--version", action="version", version=f"emap-lens {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="compute a run, or resume one")
    _add_work(run)
    run.add_argument("--out", help="run folder; by default in EMAP_RUNS, named after the work")
    run.add_argument(
        "--progress",
        choices=("auto", "bar", "json", "none"),
        default="auto",
        help="how to show progress",
    )
    run.add_argument(
        "--queue", action="store_true", help="wait until no other queued run uses the device"
    )
    run.add_argument(
        "--shard",
        "--part",
        metavar="I/N",
        help="score the I-th of N shards of the tiles, for merge; needs --batch-size",
    )
    _add_requirement(run)
    run.set_defaults(command=_run)

    merge = commands.add_parser("merge", help="merge shards into one run")
    merge.add_argument("shards", nargs="+", metavar="DIR", help="folders of the shards")
    merge.add_argument("--out", required=True, metavar="DIR", help="folder of the whole run")
    merge.set_defaults(command=_merge)

    plan = commands.add_parser("plan", help="estimate what a run would cost, as JSON")
    _add_work(plan)
    plan.add_argument(
        "--images", action="store_true", help="add small pictures of the first examples, in base64"
    )
    plan.add_argument(
        "--progress",
        choices=("none", "json"),
        default="none",
        help="json: also report downloads, one per line, before the last line",
    )
    plan.set_defaults(command=_plan)

    pairs = commands.add_parser(
        "pairs",
        help="list the pairs of two sides that a run scores, to score them elsewhere",
    )
    _add_data(pairs)
    pairs.add_argument("--data-arg", **_KEYWORD)
    pairs.add_argument(
        "--images-per-text",
        type=int,
        metavar="K",
        help="only the pairs of a sampled run, in which each text meets K images; all by default",
    )
    pairs.add_argument("--seed", type=int, default=0)
    pairs.add_argument(
        "--there",
        metavar="FILE",
        help="a .parquet file of pairs that are already scored: list only the missing ones",
    )
    pairs.add_argument("--there-arg", **_KEYWORD)
    pairs.add_argument("--out", required=True, metavar="FILE", help="a .parquet file")
    pairs.set_defaults(command=_pairs)

    show = commands.add_parser("show", help="print the table of a run")
    show.add_argument("run", metavar="DIR", help="run folder or id")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one object on standard output")
    form.add_argument("--csv", metavar="FILE", help="write the examples as a table")
    show.add_argument("--margin", **_MARGIN)
    form.add_argument(
        "--by",
        metavar="COLUMN",
        help="gap in each group: by label, prediction, kind or a column of the data",
    )
    form.add_argument("--methods", action="store_true", help="a paragraph on methods for a paper")
    form.add_argument("--bibtex", action="store_true", help="what to cite, as BibTeX")
    show.add_argument(
        "--measures",
        action="store_true",
        help="measures of other papers: perceptual score, InterSHAP, SHAPE, MMoE, bits",
    )
    show.add_argument(
        "--groups",
        nargs="?",
        const="",
        metavar="COLUMN",
        help="how many groups are right as a whole: by image, by text, or by a column that says "
        "which examples belong together; by default whichever of these the data has",
    )
    show.add_argument(
        "--information",
        nargs="?",
        const="label",
        choices=("label", "prediction"),
        help="what text and image tell alike, alone and only together, in bits, about the true "
        "label (default) or the model's own prediction",
    )
    show.add_argument(
        "--metric",
        help="metric of the verdict, --by or --fail-under; the run's first by default",
    )
    _add_requirement(show)
    show.set_defaults(command=_show)

    compare = commands.add_parser("compare", help="print several runs side by side")
    compare.add_argument("runs", nargs="+", metavar="DIR", help="run folders or ids")
    form = compare.add_mutually_exclusive_group()
    form.add_argument(
        "--form",
        choices=("text", "markdown", "latex", "csv"),
        default="text",
        help="format of the table",
    )
    for name in ("latex", "markdown", "csv"):
        form.add_argument(
            f"--{name}", dest="form", action="store_const", const=name, help=f"--form {name}"
        )
    compare.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="metric of the table for a paper; repeatable, all shared ones by default",
    )
    compare.add_argument(
        "--measures", action="store_true", help="measures of other papers, side by side"
    )
    compare.set_defaults(command=_compare)

    listed = commands.add_parser("list", help="list runs, or search them")
    listed.add_argument(
        "runs", nargs="?", metavar="RUNS", help="folder of the runs; EMAP_RUNS or runs by default"
    )
    listed.add_argument(
        "--find",
        default="",
        metavar="WORDS",
        help="only runs with all these words in name, model, data, tags, comment, id or date",
    )
    listed.add_argument(
        "--order",
        choices=tuple(ORDERS),
        default="newest",
        help="order of the list; newest first by default",
    )
    listed.add_argument("--archived", action="store_true", help="list the archived runs instead")
    listed.set_defaults(command=_list)

    annotate = commands.add_parser("annotate", help="give runs a name, tags or a comment")
    annotate.add_argument("runs", nargs="+", metavar="DIR", help="run folders or ids")
    annotate.add_argument("--name", help="name of the run in every list")
    annotate.add_argument("--tag", **_TAG, help="a word to find the run by; repeatable")
    annotate.add_argument("--untag", **_TAG, help="a tag to remove; repeatable")
    annotate.add_argument(
        "--comment",
        metavar="TEXT",
        help='what a reader should know; "" removes it',
    )
    annotate.set_defaults(command=_annotate)

    archive = commands.add_parser("archive", help="hide runs from lists; nothing is lost")
    archive.add_argument("runs", nargs="+", metavar="DIR", help="run folders or ids")
    archive.add_argument("--undo", action="store_true", help="list them again")
    archive.set_defaults(command=_archive)

    delete = commands.add_parser("delete", help="delete runs and all their files")
    delete.add_argument("runs", nargs="+", metavar="DIR", help="run folders or ids")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.set_defaults(command=_delete)

    check = commands.add_parser("check", help="compare a run's files with their checksums")
    check.add_argument("run", metavar="DIR", help="run folder or id")
    check.set_defaults(command=_check)

    probe = commands.add_parser("probe", help="ask a run's model another question")
    probe.add_argument("run", metavar="DIR", help="run folder or id")
    probe.add_argument(
        "name",
        metavar="NAME",
        help="attribution, attention, two-towers or blind-rows",
    )
    probe.add_argument(
        "--example",
        metavar="ID",
        action="append",
        help="id of an example to ask about; repeatable",
    )
    probe.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="class to explain; the predicted one by default",
    )
    probe.add_argument(
        "--largest",
        type=int,
        metavar="N",
        help="instead of --example: the N examples with the largest interaction",
    )
    probe.add_argument("--model", metavar="SPEC", help="if the run cannot say which")
    probe.add_argument("--data", metavar="SPEC", help="if the run cannot say which")
    for side in ("model", "data"):
        probe.add_argument(
            f"--{side}-arg",
            action="append",
            default=[],
            metavar="K=V",
            help="keyword argument for its loader; repeatable",
        )
    probe.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps")
    probe.add_argument("--cost", action="store_true", help="only estimate the cost")
    probe.add_argument("--json", action="store_true", help="one object on standard output")
    probe.add_argument(
        "--progress",
        choices=("auto", "bar", "json", "none"),
        default="auto",
        help="how to show progress",
    )
    probe.add_argument(
        "--queue", action="store_true", help="wait until no queued run uses the device"
    )
    probe.set_defaults(command=_probe)

    report = commands.add_parser("report", help="write a run as one HTML file")
    report.add_argument("run", metavar="DIR", help="run folder or id")
    report.add_argument("--out", required=True, metavar="FILE")
    report.add_argument("--theme", choices=("light", "dark"), default="light")
    report.add_argument("--margin", **_MARGIN)
    report.set_defaults(command=_report)

    figures = commands.add_parser("figures", help="write a run's figures as pictures for a paper")
    figures.add_argument("run", metavar="DIR", help="run folder or id")
    figures.add_argument("--out", required=True, metavar="FOLDER")
    figures.add_argument("--form", choices=("svg", "png", "pdf"), default="svg")
    figures.add_argument(
        "--width",
        choices=("column", "page"),
        help="column (3.25 inches) or page (6.75) for print; 1,000 pixels by default",
    )
    figures.set_defaults(command=_figures)

    log = commands.add_parser("log", help="send a run's numbers to a training tracker")
    log.add_argument("run", metavar="DIR", help="run folder or id")
    log.add_argument("--to", required=True, choices=("mlflow", "tensorboard", "wandb"))
    log.add_argument(
        "--step", type=int, metavar="N", help="training step; by default the run's, or 0"
    )
    log.add_argument(
        "--out", metavar="FOLDER", help="folder of TensorBoard's files; tensorboard/RUN by default"
    )
    log.set_defaults(command=_log)

    app = commands.add_parser("app", help="open the dashboard in a browser")
    app.add_argument(
        "runs", nargs="?", metavar="RUNS", help="folder of the runs; EMAP_RUNS or runs by default"
    )
    app.add_argument("--port", type=int, metavar="N", help="port of the server; 8501 by default")
    app.set_defaults(command=_app)
    return parser


def _add_requirement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fail-under",
        type=float,
        metavar="X",
        help="exit with 1 unless the lower limit of the gap's 95%% interval (leave-one-out) is at "
        "least X, in units of the first metric: 0.05 is 5 points of accuracy; 0 requires that "
        "interactions help",
    )
    parser.add_argument(
        "--junit", metavar="FILE", help="write the outcome of --fail-under as a JUnit test"
    )


def _check_requirement_options(arguments: argparse.Namespace) -> None:
    from emap_core.runs.writable_paths import check_file_target

    if arguments.junit is None:
        return
    if arguments.fail_under is None:
        raise SettingError("--junit writes the outcome of --fail-under; give --fail-under, too")
    check_file_target(Path(arguments.junit), "JUnit file")


def _required(run: Any, arguments: argparse.Namespace, metric: str | None = None) -> int:
    """Print whether a run's gap is as large as required, and return the exit code."""
    if arguments.fail_under is None:
        return 0
    from emap_core.presentation.required_gap import required_gap

    found = required_gap(run, arguments.fail_under, metric)
    if arguments.junit is not None:
        found.write_junit(Path(arguments.junit))
    # Standard output may be one JSON object.
    print(visible(found.sentence), file=sys.stderr, flush=True)
    return 0 if found.holds else 1


def _add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, metavar="SPEC", help="demo:concat, module:factory, …"
    )
    _add_data(parser)
    for side in ("model", "data", "train"):
        parser.add_argument(f"--{side}-arg", **_KEYWORD)
    parser.add_argument(
        "--train-data",
        metavar="SPEC",
        help="a training split, for linear probes on encoded texts, images and both",
    )
    parser.add_argument("--metric", action="append", default=[], metavar="NAME")
    parser.add_argument("--tag", **_TAG, help="a word to find the run by; repeatable")
    parser.add_argument(
        "--allow-noise",
        action="store_true",
        help="accept a model whose output for the same items differs each time; the result gives "
        "the share of noise",
    )
    for flag, options in _RUN_SETTINGS.items():
        parser.add_argument(flag, **options)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, metavar="SPEC", help="demo:easy-vqa, csv:FILE, …")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="use only a seeded sample of N examples"
    )
    for what, meaning in _COLUMNS.items():
        parser.add_argument(f"--{what}-column", metavar="NAME", help=f"{meaning}, if not the usual")
    for flag, options in _TABLE_SETTINGS.items():
        parser.add_argument(flag, **options)
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out bad rows of a table and list them"
    )
    parser.add_argument(
        "--labels-as",
        choices=LABELS_AS,
        help="what whole numbers as labels mean, if they could be either",
    )


def _work(arguments: argparse.Namespace) -> tuple[Any, Any, dict[str, Any]]:
    data_args = _data_args(arguments)
    settings = {
        name: value
        for flag in _RUN_SETTINGS
        if (value := getattr(arguments, (name := _argument(flag)))) is not None
    }
    if arguments.allow_noise:
        settings["allow_noise"] = True
    if arguments.metric:
        settings["metrics"] = tuple(arguments.metric)
    if arguments.tag:
        settings["tags"] = tuple(arguments.tag)
    settings["data_args"] = data_args
    if arguments.train_data:
        settings["train"] = arguments.train_data
        settings["train_args"] = typed_arguments(arguments.train_arg, "--train-arg")
    settings["model_args"] = typed_arguments(arguments.model_arg, "--model-arg")
    return arguments.model, arguments.data, settings


def _data_args(arguments: argparse.Namespace) -> dict[str, Any]:
    data_args = typed_arguments(arguments.data_arg, "--data-arg")
    for what in _COLUMNS:
        if (name := getattr(arguments, f"{what}_column")) is not None:
            data_args[f"{what}_column"] = name
    for flag in _TABLE_SETTINGS:
        if value := getattr(arguments, (name := _argument(flag))):
            data_args[name] = value
    if arguments.skip_bad:
        data_args["skip_bad"] = True
    if arguments.labels_as:
        data_args["labels_as"] = arguments.labels_as
    if arguments.limit is not None:
        data_args["limit"] = arguments.limit
        data_args["seed"] = arguments.seed or 0
    return data_args


def _pairs(arguments: argparse.Namespace) -> None:
    from emap_core.engine.pairs_to_score import pairs_to_score
    from emap_core.runs.store import replacing
    from emap_core.runs.writable_paths import check_file_target

    out = Path(arguments.out)
    if out.suffix != ".parquet":
        raise SettingError(f"--out is {arguments.out!r}; expected a .parquet file")
    check_file_target(out, "list of pairs")
    found = pairs_to_score(
        arguments.data,
        arguments.images_per_text,
        seed=arguments.seed,
        data_args=_data_args(arguments),
        there=arguments.there,
        there_args=typed_arguments(arguments.there_arg, "--there-arg"),
    )
    with replacing(out) as temporary:
        found.to_parquet(temporary, index=False)
    print(f"{len(found):,} pairs: {out}")


def _argument(flag: str) -> str:
    return flag[2:].replace("-", "_")


def _run(arguments: argparse.Namespace) -> int:
    from emap_core.engine import compute, compute_shard

    _check_requirement_options(arguments)
    if arguments.shard is not None and arguments.fail_under is not None:
        raise SettingError("--fail-under is for whole runs; merge first, then give it to show")
    _Stop.listen()
    model, dataset, settings = _work(arguments)
    settings["preview"] = _preview(arguments)
    shown = _shown(arguments.progress)
    settings |= {"cancelled": _Stop.asked.is_set, "queue": arguments.queue}
    if arguments.out is not None:
        settings["out"] = arguments.out
    with _hearing_of_downloads(shown), _listening(shown) as settings["listener"]:
        if arguments.shard is not None:
            print(compute_shard(model, dataset, _shard(arguments.shard), **settings))
            return 0
        run = compute(model, dataset, progress=False, **settings)
    # Compute them here, so that no page has to wait for them later.
    run.intervals()
    if shown != "json":
        from emap_core.presentation.terminal import summary

        # The user asked for it, so answer at once; anything else waits until somebody looks at it.
        print(summary(run, with_questions=run.density is not None))
    return _required(run, arguments)


def _preview(arguments: argparse.Namespace) -> Callable[[Any], None] | None:
    """Return what to do with a run's cost before its pairs are scored, or None."""
    printed = arguments.progress in ("auto", "bar")
    if arguments.fail_under is None:
        return _print_preview if printed else None
    from emap_core.presentation.required_gap import check_requirement

    def preview(found: Any) -> None:
        check_requirement(arguments.fail_under, found.metrics)
        if printed:
            _print_preview(found)

    return preview


def _shown(progress: str) -> str:
    if progress != "auto":
        return progress
    return "bar" if sys.stderr.isatty() else "none"


def _listening(shown: str) -> AbstractContextManager[Callable[[dict[str, Any]], None] | None]:
    """Return a listener that shows progress events: as a bar, as JSON, or not at all."""
    from emap_core.engine.progress_bar import showing_progress

    if shown == "bar":
        return showing_progress()
    return nullcontext(_print_json if shown == "json" else None)


def _hearing_of_downloads(shown: str) -> AbstractContextManager[None]:
    """Print the progress of downloads if progress is JSON; otherwise bars show it."""
    return listening_to_downloads(_print_json) if shown == "json" else nullcontext()


def _probe(arguments: argparse.Namespace) -> None:
    from emap_core.probes.ask import ask_each, probes_named
    from emap_core.probes.probed_run import ProbedRun
    from emap_core.runs import Run

    _Stop.listen()
    run = Run.load(arguments.run)
    probed = ProbedRun(
        run,
        arguments.model,
        arguments.data,
        model_args=typed_arguments(arguments.model_arg, "--model-arg"),
        data_args=typed_arguments(arguments.data_arg, "--data-arg"),
        device=arguments.device,
    )
    choices = {} if arguments.class_name is None else {"class_name": arguments.class_name}
    probes = probes_named(
        run, arguments.name, examples=arguments.example, largest=arguments.largest, **choices
    )
    if arguments.cost:
        _print_cost([probe.cost(run) for probe in probes])
        return
    shown = _shown(arguments.progress)

    def print_answer(found: Any) -> None:
        if arguments.json:
            print(json.dumps(found.to_json(), allow_nan=False))
        elif shown != "json":
            print(visible(found))

    with _listening(shown) as listener:
        found: list[Any] = ask_each(
            probed,
            probes,
            listener=listener,
            cancelled=_Stop.asked.is_set,
            queue=arguments.queue,
            then=print_answer,
        )
    if len(found) > 1 and not arguments.json and shown != "json":
        from emap_core.probes.words_over_examples import words_over_examples

        print(visible(f"\n{words_over_examples(found)}"))


def _print_cost(costs: list[Any]) -> None:
    n_passes = sum(one.passes for one in costs)
    known = [one.seconds for one in costs if one.seconds is not None]
    seconds = sum(known) if len(known) == len(costs) else None
    print(json.dumps({"passes": n_passes, "seconds": seconds}))


def _shard(given: str) -> tuple[int, int]:
    number, _, of = given.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise SettingError(f"--shard is {given!r}; expected I/N, such as 1/4 for the first of four")
    return int(number), int(of)


def _merge(arguments: argparse.Namespace) -> None:
    from emap_core.engine import merge_shards
    from emap_core.presentation.terminal import summary
    from emap_core.runs.store import location
    from emap_core.runs.writable_paths import check_folder_target

    check_folder_target(location(arguments.out), "run folder")
    print(summary(merge_shards(arguments.shards, arguments.out)))


def _plan(arguments: argparse.Namespace) -> None:
    from emap_core.engine import estimate

    model, dataset, settings = _work(arguments)
    with _hearing_of_downloads(arguments.progress):
        found = dataclasses.asdict(estimate(model, dataset, **settings))
    if not arguments.images:
        for item in (item for one in found["previews"] for item in one["items"]):
            item["image"] = None
    print(json.dumps(found))


def _show(arguments: argparse.Namespace) -> int:
    if arguments.methods or arguments.bibtex:
        return _for_a_paper(arguments)
    from emap_core.presentation.terminal import (
        groups,
        information,
        measures,
        summary,
        whole_groups,
    )
    from emap_core.runs import Run
    from emap_core.runs.writable_paths import check_file_target

    if arguments.csv:
        check_file_target(Path(arguments.csv), "table")
    _check_requirement_options(arguments)
    # An option without effect is a misunderstanding.
    unused = arguments.json or arguments.csv
    if arguments.metric and unused and arguments.fail_under is None:
        raise SettingError("--metric is for the verdict, --by and --fail-under; leave it out here")
    if arguments.margin is not None and (arguments.csv or arguments.by):
        raise SettingError("--margin is for the verdict, which is not shown here; leave it out")
    tables = {
        "--measures": arguments.measures,
        "--groups": arguments.groups is not None,
        "--information": arguments.information is not None,
    }
    asked = [name for name, given in tables.items() if given]
    if asked and (len(asked) > 1 or arguments.csv or arguments.by):
        others = [name for name in ("--csv", "--by", *tables) if name != asked[0]]
        raise SettingError(f"{asked[0]} is a separate table; leave out {', '.join(others)}")
    run = Run.load(arguments.run)
    if arguments.measures:
        measured = run.measures()
        told = json.dumps(measured.to_json(), allow_nan=False)
        print(told if arguments.json else measures(run))
    elif arguments.groups is not None:
        by = arguments.groups or None
        told = json.dumps(run.group_scores(by).to_json(), allow_nan=False)
        print(told if arguments.json else whole_groups(run, by))
    elif arguments.information is not None:
        shared_out = run.partial_information(arguments.information)
        told = json.dumps(shared_out.to_json(), allow_nan=False)
        print(told if arguments.json else information(run, arguments.information))
    elif arguments.json:
        print(json.dumps(run.record(arguments.margin), allow_nan=False))
    elif arguments.csv:
        run.write_examples(Path(arguments.csv))
    elif arguments.by:
        print(groups(run, arguments.by, arguments.metric))
    else:
        print(summary(run, arguments.margin, arguments.metric, with_questions=True))
    return _required(run, arguments, arguments.metric)


def _for_a_paper(arguments: argparse.Namespace) -> int:
    from emap_core.presentation.paper import bibtex, methods_paragraph
    from emap_core.runs import Run

    for name in ("margin", "metric", "groups", "information", "fail_under", "junit"):
        if getattr(arguments, name) is not None:
            raise SettingError(f"--{name.replace('_', '-')} has no effect here; leave it out")
    if arguments.measures:
        raise SettingError("--measures has no effect here; leave it out")
    run = Run.load(arguments.run)
    print(methods_paragraph(run) if arguments.methods else bibtex(run).rstrip())
    return 0


def _compare(arguments: argparse.Namespace) -> None:
    from emap_core.presentation.compared_in_terminal import compared_measures, comparison
    from emap_core.presentation.comparison_tables import check_comparable
    from emap_core.presentation.paper import paper_table
    from emap_core.runs import Run

    runs = [Run.load(run) for run in arguments.runs]
    if arguments.measures:
        if arguments.form != "text":
            raise SettingError("--form is for the table of gaps; leave it out with --measures")
        print(compared_measures(runs))
        return
    check_comparable(runs)
    if arguments.form == "text":
        if arguments.metric:
            raise SettingError("--metric is for the table of --latex, --markdown and --csv")
        print(comparison(runs))
    else:
        print(paper_table(runs, arguments.form, arguments.metric), end="")


def _list(arguments: argparse.Namespace) -> None:
    from emap_core.presentation.run_list import in_order, matching
    from emap_core.presentation.terminal import run_list
    from emap_core.runs import list_runs, runs_root
    from emap_core.runs.store import location

    root = None if arguments.runs is None else location(arguments.runs)
    runs = [one for one in list_runs(root) if one.is_archived == arguments.archived]
    found = in_order(matching(runs, arguments.find), arguments.order)
    if found:
        print(run_list(found))
        return
    kind = "archived run" if arguments.archived else "run"
    where = runs_root() if root is None else root
    why = f"no {kind} in {where}" if not runs else f"none of {counted(len(runs), kind)} in {where}"
    print(f"{why} has all these words" if runs else f"there is {why}", file=sys.stderr)


def _annotate(arguments: argparse.Namespace) -> None:
    from emap_core.presentation.run_details import tags_and_comment
    from emap_core.runs.edit_run import annotate_run
    from emap_core.runs.folder import RunFolder, find_run

    folders = [RunFolder(find_run(run)) for run in arguments.runs]
    for folder in folders:
        tags = None
        if arguments.tag or arguments.untag:
            there = folder.manifest()["tags"]
            absent = [tag for tag in arguments.untag if tag not in there]
            if absent:
                has = ", ".join(there) or "none"
                raise SettingError(f"run {folder.id!r} has no tag {absent[0]!r}; it has {has}")
            tags = [tag for tag in [*there, *arguments.tag] if tag not in arguments.untag]
        annotate_run(folder.path, name=arguments.name, comment=arguments.comment, tags=tags)
        manifest = folder.manifest()
        told = {"Name": manifest["name"], **tags_and_comment(manifest)}
        lines = [f"  {what}: {words}" for what, words in told.items() if words]
        print(visible("\n".join([f"{folder.path}", *lines])))


def _archive(arguments: argparse.Namespace) -> None:
    from emap_core.runs.edit_run import archive_run
    from emap_core.runs.folder import find_run

    for path in [find_run(run) for run in arguments.runs]:
        archive_run(path, not arguments.undo)
        print(f"{path} is {'listed again' if arguments.undo else 'archived'}")


def _delete(arguments: argparse.Namespace) -> None:
    from emap_core.runs.edit_run import delete_run
    from emap_core.runs.folder import find_run

    paths = list(dict.fromkeys(find_run(run) for run in arguments.runs))
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise SettingError("delete asks first, but nobody can answer here; give --yes")
        for path in paths:
            print(path)
        asked = "Delete this run" if len(paths) == 1 else f"Delete these {len(paths)} runs"
        if input(f"{asked} and all files? Type yes: ").strip().casefold() not in ("y", "yes"):
            print("Nothing was deleted.")
            return
    for path in paths:
        delete_run(path)
        print(f"{path} is deleted")


def _check(arguments: argparse.Namespace) -> None:
    from emap_core.runs.checksums import check_run

    found = check_run(arguments.run)
    print("\n".join(found) or f"all files of {arguments.run} match their checksums")
    if found:
        n = len(found)
        raise RunError(
            f"run {arguments.run} is damaged: {n} file{'' if n == 1 else 's'}, see above"
        )


def _report(arguments: argparse.Namespace) -> None:
    from emap_core.presentation.report import write_report
    from emap_core.runs import Run
    from emap_core.runs.writable_paths import check_file_target
    from emap_core.themes import theme_named

    path = Path(arguments.out)
    check_file_target(path, "report")
    run = Run.load(arguments.run)
    write_report(run, path, theme_named(arguments.theme), arguments.margin)
    print(arguments.out)


def _figures(arguments: argparse.Namespace) -> None:
    from emap_core.figures.export import LEAST_TYPE, picture, type_size
    from emap_core.presentation.charts import report_charts
    from emap_core.runs import Run
    from emap_core.runs.store import replacing
    from emap_core.runs.writable_paths import check_folder_target

    check_folder_target(Path(arguments.out), "folder of figures")
    for name, draw in report_charts(Run.load(arguments.run)).items():
        path = Path(arguments.out) / f"{name}.{arguments.form}"
        chart = draw()
        drawn = picture(chart, arguments.form, arguments.width)
        with replacing(path) as temporary:
            temporary.write_bytes(drawn)
        print(path)
        if arguments.width and (points := type_size(chart, arguments.width)) < LEAST_TYPE:
            print(
                f"Note: the text in {path.name} has {points:.1f} points; use --width page",
                file=sys.stderr,
            )


def _log(arguments: argparse.Namespace) -> None:
    from emap_core.runs import Run
    from emap_core.training import log_run

    folder = None if arguments.out is None else Path(arguments.out)
    print(log_run(Run.load(arguments.run), arguments.to, step=arguments.step, folder=folder))


def _app(arguments: argparse.Namespace) -> None:
    from emap_core.dashboard_files import dashboard_folder
    from emap_core.runs.store import address, location

    if importlib.util.find_spec("streamlit") is None:
        raise MissingExtraError(f"the dashboard needs Streamlit: {with_extra('app')}")
    environment = dict(os.environ)
    if arguments.runs is not None:
        if (runs := location(arguments.runs)).is_file():
            raise RunError(f"{arguments.runs} is a file; name the folder that holds the runs")
        environment["EMAP_RUNS"] = address(runs)
    command = [sys.executable, "-m", "streamlit", "run", str(dashboard_folder() / "app.py")]
    if arguments.port is not None:
        command.append(f"--server.port={arguments.port}")
    # The server replaces this process, so whatever stops this process stops the server.
    os.execve(command[0], command, environment)  # noqa: S606 - our own server, without a shell


def _print_preview(found: Any) -> None:
    """Show on stderr what is about to be computed, in time to notice a wrong column or class."""
    from emap_core.modalities import Side
    from emap_core.modalities.side_names import cells_of, grid_of

    names = ", ".join(found.classes[:20]) + (", …" if len(found.classes) > 20 else "")
    lines = [
        f"The first of {found.n_examples:,} examples, {found.task}, "
        f"{len(found.classes)} classes: {names}"
    ]
    for one in found.previews:
        label = "" if one["label"] is None else f"label {one['label']}, "
        words = (textwrap.shorten(item["words"], 200, placeholder=" …") for item in one["items"])
        said = " with ".join(f"“{some}”" for some in words if some)
        lines.append(f"  {one['id']}: {said}: {label}the model says {one['prediction']}")
    wait = "under a second" if found.seconds < 1 else f"about {found.seconds:,.0f} s"
    sides = tuple(Side(one["name"], one["modality"]) for one in found.sides)
    grid = grid_of(sides, [one["n_items"] for one in found.sides])
    cells = cells_of(len(sides))
    lines.append(f"{grid}, {found.n_pairs:,} {cells} to score, {wait} on {found.device}")
    lines += [visible(textwrap.shorten(line, 300, placeholder=" …")) for line in found.reads]
    lines += [*found.columns, *(f"Note: {note}" for note in found.notes)]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _print_json(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)
