"""Bad inputs, each with the words that it must be refused with.

``python tests/bad_inputs/make.py FOLDER`` writes them out, each into a folder of its own with the
words beside it, to be tried on other ways in.
"""

from __future__ import annotations

import io
import json
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

MANIFEST = {
    "format": 1,
    "status": "finished",
    "model": "staged",
    "dataset": "data",
    "created": "2026-01-01T00:00:00+00:00",
    "fingerprints": {"model": "m", "data": "d"},
    "settings": {},
    "metrics": ["accuracy"],
    "method": "exact",
    "space": "logits",
    "task": "multiclass",
    "classes": ["zero", "one", "two"],
    "keep": "sums",
    "n_examples": 60,
    "n_texts": 11,
    "n_images": 23,
    "n_classes": 3,
    "n_pairs_evaluated": 253,
    "images_per_part": 64,
}
"""The least that the manifest of a run holds."""

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
NO_IMAGE = "cannot be read: it is not an image in a known format"
TORN = "bad.img in row 2 of data.csv cannot be read: "
CSV = "text,image,label\n"
GOOD_ROW = "a,good.png,yes\n"


@dataclass(frozen=True)
class Bad:
    """An input and the words that refuse it.

    `kind` is what it is given to: data, model, archive, run or image; `given` the spec, file or
    folder; `settings` are keyword arguments.
    """

    name: str
    kind: str
    given: str
    words: str
    files: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def png(colour: str = "red") -> bytes:
    return saved(Image.new("RGB", (4, 4), colour))


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def noise() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    return Image.fromarray(values)


def with_image(name: str, content: bytes, words: str) -> Bad:
    """Return a table whose second image is bad."""
    table = f"{CSV}{GOOD_ROW}b,bad.img,no\n".encode()
    files = {"data.csv": table, "bad.img": content}
    return Bad(f"image-{name}", "data", "csv:data.csv", words, files)


def with_table(name: str, rows: str | bytes, words: str, **settings: Any) -> Bad:
    """Return a CSV; a string gets the usual head."""
    content = (CSV + rows).encode() if isinstance(rows, str) else rows
    return Bad(f"csv-{name}", "data", "csv:data.csv", words, {"data.csv": content}, settings)


def with_lines(name: str, lines: bytes, words: str, **settings: Any) -> Bad:
    """Return a JSONL whose first line is good."""
    content = b'{"text": "a", "image": "good.png", "label": 1}\n' + lines + b"\n"
    return Bad(
        f"jsonl-{name}", "data", "jsonl:data.jsonl", words, {"data.jsonl": content}, settings
    )


def with_frame(name: str, words: str, **columns: Any) -> Bad:
    """Return a parquet file with these columns."""
    usual = {"text": ["a", "b"], "image": [png(), png("blue")], "label": ["x", "y"]}
    written = io.BytesIO()
    pd.DataFrame({k: v for k, v in (usual | columns).items() if v is not None}).to_parquet(written)
    files = {"data.parquet": written.getvalue()}
    return Bad(f"parquet-{name}", "data", "parquet:data.parquet", words, files)


def images() -> list[Bad]:
    found = []
    for kind in FORMATS:
        whole = saved(noise(), kind)
        found += [
            with_image(f"{kind}-half", whole[: len(whole) // 2], TORN),
            with_image(f"{kind}-head", whole[:20], "cannot be read: "),
            with_image(f"{kind}-begin", whole[:2], "cannot be read: "),
        ]
    broken = bytearray(saved(noise()))
    broken[60:70] = bytes(10)
    header = png()[:16] + struct.pack(">II", 60_000, 60_000) + png()[24:29]
    header += struct.pack(">I", zlib.crc32(header[12:])) + png()[33:]
    strangers = {
        "empty": b"",
        "text": b"not a picture",
        "html": b"<!doctype html><img src=x onerror=alert(1)>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "zip": b"PK\x05\x06" + bytes(18),
        "wave": b"RIFF\x24\0\0\0WAVEfmt ",
        "mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "icon": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0",
        "program": b"\x7fELF\2\1\1\0",
        "zeros": bytes(1000),
    }
    found += [with_image(name, content, NO_IMAGE) for name, content in strangers.items()]
    fractions = Image.fromarray(np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4))
    found += [
        with_image("broken-bytes", bytes(broken), TORN),
        with_image("bomb", saved(Image.new("1", (9000, 9000))), "is 9,000 × 9,000 pixels, more"),
        with_image("bomb-of-a-header", header, TORN + "Image size (3600000000 pixels) exceeds"),
        with_image("fractions", saved(fractions, "TIFF"), "floats of an unknown range"),
    ]
    return found


def tables() -> list[Bad]:
    other = "is not UTF-8; save it as UTF-8"
    head = CSV.encode()
    million = "x" * 1_000_001
    two = GOOD_ROW + "b,other.png,no\n"
    return [
        with_table("empty", b"", "data.csv is empty; give a file with a line of"),
        with_table("blank", b"\n\n\n", "data.csv is empty; give a file with a line of"),
        with_table("no-rows", "", "data.csv has no rows"),
        with_table("latin-1", head + "caf\xe9,good.png,x\n".encode("latin-1"), other),
        with_table("utf-16", (CSV + two).encode("utf-16"), other),
        with_table("utf-32", (CSV + two).encode("utf-32"), other),
        with_table("shift-jis", head + "猫,good.png,x\n".encode("shift-jis"), other),
        with_table("a-picture", png(), other),
        with_table("nul-text", f"{GOOD_ROW}b\0c,good.png,no\n", "'text': the text holds a NUL"),
        with_table(
            "nul-path",
            f"{GOOD_ROW}b,g\0.png,no\n",
            "image g\\x00.png in row 2 of data.csv cannot be read: embedded null byte (skip_bad",
        ),
        with_table(
            "spaces-in-path",
            f"{GOOD_ROW}b,a  b.png,no\n",
            "image a b.png in row 2 of data.csv does not exist; image_root=… says in",
        ),
        with_table("nul-label", f"{GOOD_ROW}b,good.png,n\0o\n", "'label': the label holds a NUL"),
        with_table(
            "million-text", f"{million},good.png,x\n", "the text has 1,000,001 characters, more"
        ),
        with_table(
            "million-label", f"a,good.png,{million}\n", "the label has 1,000,001 characters, more"
        ),
        with_table("million-path", f"a,{million},x\n", "the image's path has 1,000,001 characters"),
        with_table("more-fields", f"{GOOD_ROW}b,good.png,no,c,d\n", "Expected 3 fields in line 3"),
        with_table("fewer-fields", f"{GOOD_ROW}b\n", "row 2 of data.csv, column 'image': there is"),
        with_table("open-quote", '"a,good.png,yes\n', "EOF inside string"),
        with_table("no-text", b"image,label\ngood.png,x\n", "has no column for the text"),
        with_table("no-image", b"text,label\na,x\n", "has no column for the image"),
        with_table("two-names", b"text,image,label,label\na,good.png,x,y\n", "two columns 'label'"),
        with_table("header", b"a.png,a,x\nb.png,b,y\n", "name all columns with column_names=…"),
        with_table("shifted", b"text,image\na,good.png,x\n", "more values than column names"),
        with_table("colons", b"text:image\na:good.png\n", "has no column for the text"),
        with_table(
            "like-a-label",
            b"text,image,answers\na,good.png,x\n",
            "no column for the label under a usual name, and 'answers' looks like one",
        ),
        with_table("torn-list", GOOD_ROW + 'b,good.png,"[x, y]"\n', "looks like a list and cannot"),
        with_table("torn-base64", f'{GOOD_ROW}b,"data:image/png;base64,x!",no\n', "valid base64"),
        with_table("data-address", f'{GOOD_ROW}b,"data:image/png,x",no\n', "that is not base64"),
        Bad("csv-at-an-address", "data", "csv:http://x.org/a.csv", "is an address; download"),
        Bad("an-address", "data", "http://x.org/a.csv", "is an address; download the file"),
        with_table("empty-text", f"{GOOD_ROW} ,good.png,no\n", "row 2 of data.csv, column 'text'"),
        with_table("empty-image", f"{GOOD_ROW}b,,no\n", "column 'image': there is no image"),
        with_table("empty-label", f"{GOOD_ROW}b,good.png,\n", "column 'label': there is no label"),
        with_table("missing-file", f"{GOOD_ROW}b,none.png,no\n", "none.png in row 2 of data.csv"),
        with_table("folder", f"{GOOD_ROW}b,.,no\n", "Is a directory"),
        with_table(
            "address",
            f"{GOOD_ROW}b,http://x.org/a.png,no\n",
            "http://x.org/a.png; fetch_images=True downloads",
        ),
        with_table("file-address", f"{GOOD_ROW}b,file:///etc/passwd,no\n", "is the address file:"),
        with_table("not-an-image", f"{GOOD_ROW}b,/etc/passwd,no\n", NO_IMAGE),
        with_table("device", f"{GOOD_ROW}b,/dev/null,no\n", NO_IMAGE),
        with_table("one-row", GOOD_ROW, "the dataset has 1 example; recombining"),
        with_table(
            "same-id",
            b"id,text,image\n1,a,good.png\n1,b,good.png\n",
            "row 2 of data.csv, column 'id': the id '1' occurs twice; name another column",
        ),
        with_table("no-id", b"id,text,image\n,a,good.png\n", "column 'id': there is no id"),
        with_table("task", two, "task is 'guess'; expected one of multiclass", task="guess"),
        with_table("no-number", two, "the label is 'yes'; expected a number", task="regression"),
        with_table("nan", "a,good.png,nan\n", "expected a number", task="regression"),
        with_table(
            "empty-number",
            "a,good.png,1\nb,good.png,\n",
            "row 2 of data.csv, column 'label': there is no label; expected a number",
            task="regression",
        ),
        with_table("inf", "a,good.png,-inf\n", "expected a number", task="regression"),
        with_table("text-column", two, "has no column 'words' for the text", text_column="words"),
        with_table("image-column", two, "no column 'x' for the image", image_column="x"),
        with_table("label-column", two, "no column 'x' for the label", label_column="x"),
        with_table("id-column", two, "no column 'x' for the id", id_column="x"),
        with_table("unknown-option", two, "unexpected keyword argument 'colour'", colour="red"),
        with_table(
            "limit", two, "limit is 1; recombining texts and images needs at least 2", limit=1
        ),
        with_table("all-bad", "a,none.png,x\nb,none.png,y\n", "has no valid row", skip_bad=True),
    ]


def lines() -> list[Bad]:
    return [
        with_lines("list", b"[1, 2]", "row 2 of data.jsonl: line 2 is not a JSON object"),
        with_lines("word", b'"a"', "row 2 of data.jsonl: line 2 is not a JSON object"),
        with_lines("number", b"17", "row 2 of data.jsonl: line 2 is not a JSON object"),
        with_lines("open", b'{"text": "a"', "row 2 of data.jsonl: line 2 is not valid JSON"),
        with_lines(
            "single-quotes", b"{'text': 'a'}", "row 2 of data.jsonl: line 2 is not valid JSON"
        ),
        with_lines("deep", b'{"a":' * 50_000, "maximum recursion depth"),
        with_lines(
            "digits", b'{"text": 1' + b"0" * 5000 + b"}", "data.jsonl: line 2 is not valid JSON"
        ),
        with_lines("latin-1", b'{"text": "caf\xe9"}', "is not UTF-8"),
        with_lines("no-text", b'{"image": "good.png"}', "row 2 of data.jsonl, column 'text'"),
        with_lines("null-text", b'{"text": null, "image": "good.png"}', "the text is empty"),
        with_lines("nan-text", b'{"text": NaN, "image": "good.png"}', "the text is empty"),
        with_lines(
            "text-object",
            b'{"text": {"a": 1}, "image": "good.png"}',
            "the text is a dict; expected",
        ),
        with_lines(
            "text-list", b'{"text": ["a"], "image": "good.png"}', "the text is a list; expected"
        ),
        with_lines(
            "surrogate", b'{"text": "\\ud800", "image": "good.png"}', "holds half a character"
        ),
        with_lines("nul", b'{"text": "\\u0000", "image": "good.png"}', "holds a NUL character"),
        with_lines("no-image", b'{"text": "b"}', "column 'image': there is no image"),
        with_lines("image-number", b'{"text": "b", "image": 5}', "the image is a int; expected"),
        with_lines("image-list", b'{"text": "b", "image": ["x", "y"]}', "there are 2 images; give"),
        with_lines("no-images", b'{"text": "b", "image": []}', "there is no image"),
        with_lines(
            "twice", b'{"text": "b", "image": "x", "text": "c"}', "names 'text' twice in one"
        ),
        with_lines(
            "label-nan", b'{"text": "b", "image": "good.png", "label": NaN}', "there is no label"
        ),
        with_lines(
            "label-null", b'{"text": "b", "image": "good.png", "label": null}', "there is no label"
        ),
        with_lines(
            "label-object",
            b'{"text": "b", "image": "good.png", "label": {"a": 1}}',
            "the label is a dict; expected the name or number of a class",
        ),
        with_lines(
            "label-fraction",
            b'{"text": "b", "image": "good.png", "label": 1.5}',
            "the label is 1.5",
        ),
    ]


def arrays() -> list[Bad]:
    def array(name: str, content: bytes, words: str) -> Bad:
        return Bad(f"json-{name}", "data", "json:data.json", words, {"data.json": content})

    good = b'{"text": "a", "image": "good.png", "label": 1}'
    return [
        array("object", b'{"questions": [1], "n": 1}', "without an array of objects"),
        array("two", b'{"a": [{}], "b": [{}]}', "holds the arrays 'a', 'b'; name the one with"),
        array("in-objects", b'{"a": {"text": "a"}, "b": 5}', "without an array of objects"),
        array("word", b'"a"', "holds str; expected an array of objects"),
        array("half", b"[" + good, "is not valid JSON"),
        array("deep", b"[" * 50_000, "is not valid JSON: maximum recursion depth"),
        array("entry", b"[" + good + b", 5]", "row 2 of data.json: entry 2 is not a JSON object"),
        array("twice", b'[{"text": "a", "text": "b"}]', "names 'text' twice in one object"),
    ]


def frames() -> list[Bad]:
    whole = with_frame("x", "").files["data.parquet"]

    def torn(name: str, content: bytes, words: str) -> Bad:
        files = {"data.parquet": content}
        return Bad(f"parquet-{name}", "data", "parquet:data.parquet", words, files)

    cannot = "data.parquet cannot be read: "
    return [
        torn("empty", b"", cannot),
        torn("half", whole[: len(whole) // 2], cannot),
        torn("no-end", whole[:-1], cannot),
        torn("no-begin", whole[1:], cannot),
        torn("zeros", bytes(1000), cannot),
        torn("a-picture", png(), cannot),
        torn("endless-foot", b"PAR1" + b"xy" * 99 + struct.pack("<I", 2**31 - 1) + b"PAR1", cannot),
        with_frame("no-image", "there is no image", image=[png(), None]),
        with_frame("image-number", "column for the image", image=None),
        with_frame("torn-image", "cannot be read: ", image=[png(), saved(noise())[:2000]]),
        with_frame("no-picture", NO_IMAGE, image=[png(), b"hello"]),
        with_frame("empty-struct", "there is no image", image=[{"bytes": None, "path": None}] * 2),
        with_frame("nan-label", "there is no label", label=[1.0, np.nan]),
        with_frame("fraction-label", "the label is 0.5; expected a class", label=[1.0, 0.5]),
        with_frame("bytes-label", "the label is a bytes; expected", label=[b"x", b"y"]),
        with_frame("bytes-text", "the text is a bytes; expected", text=[b"x", b"y"]),
        with_frame("same-id", "the id '7' occurs twice", id=[7, 7]),
        with_frame("no-id", "there is no id", id=["a", None]),
        with_frame("no-text", "the text is empty", text=["a", None]),
        *(torn(f"note-{at}", noted(note), words) for at, (note, words) in enumerate(NOTES)),
    ]


ODD_NOTE = "its note 'huggingface' is not one that the library datasets writes: "
NOTES: tuple[tuple[bytes, str], ...] = (
    (b"{", ODD_NOTE),
    (b"[]", ODD_NOTE),
    (b'{"info": {"features": {"label": {"_type": "ClassLabel"}}}}', ODD_NOTE + "KeyError: 'names'"),
    (
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 5}}}}',
        "data.parquet cannot be read: its note 'huggingface' gives column 'label' the classes 5",
    ),
)


def noted(note: bytes) -> bytes:
    """Return a parquet file with a note on its columns, as the library datasets leaves one."""
    columns = {"text": ["a", "b"], "image": [png(), png("blue")], "label": [0, 1]}
    written = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata({b"huggingface": note}), written)
    return written.getvalue()


def saved_datasets() -> list[Bad]:
    named = b'{"_data_files": [{"filename": "x.arrow"}]}'
    return [
        Bad(f"hf-{name}", "data", "hf:saved", words, {f"saved/{k}": v for k, v in files.items()})
        for name, words, files in (
            ("torn-state", "saved/state.json cannot be read", {"state.json": b"{"}),
            ("list-state", "saved/state.json is not a JSON object", {"state.json": b"[]"}),
            ("no-files", "has no '_data_files'", {"state.json": b"{}"}),
            ("no-arrow", "saved/x.arrow, which does not exist", {"state.json": named}),
            ("torn-arrow", "saved/x.arrow cannot", {"state.json": named, "x.arrow": b"hello"}),
            ("torn-splits", "saved/dataset_dict.json cannot", {"dataset_dict.json": b"{"}),
            ("files", "has 5 as '_data_files'; expected", {"state.json": b'{"_data_files": 5}'}),
            (
                "no-name",
                "saved/state.json names None; expected the name of a file",
                {"state.json": b'{"_data_files": [{}]}'},
            ),
            (
                "nul-name",
                "saved/state.json names 'a\\x00'; expected the name of a file",
                {"state.json": b'{"_data_files": [{"filename": "a\\u0000"}]}'},
            ),
            (
                "other-folder",
                "saved/state.json names '../x.arrow'; expected the name of a file beside it",
                {"state.json": b'{"_data_files": [{"filename": "../x.arrow"}]}'},
            ),
            (
                "other-split",
                "names '..'; expected the name of a file beside it",
                {"dataset_dict.json": b'{"splits": [".."]}'},
            ),
            (
                "splits",
                "saved/dataset_dict.json has True as 'splits'; expected a list",
                {"dataset_dict.json": b'{"splits": true}'},
            ),
            (
                "no-split",
                "folder saved/a is not a saved dataset",
                {"dataset_dict.json": b'{"splits": ["a"]}'},
            ),
        )
    ]


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return written.getvalue()


def tarred(*members: tuple[str | tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode=mode) as file:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return written.getvalue()


def shards() -> list[Bad]:
    """Return shards in which something is twice, or one of a row of them is missing."""

    def shard(name: str, words: str, *members: tuple[str, bytes], spec: str = "a.tar") -> Bad:
        return Bad(
            f"webdataset-{name}", "data", f"webdataset:{spec}", words, {"a.tar": tarred(*members)}
        )

    good = [("1.png", png()), ("1.txt", b"a"), ("2.png", png()), ("2.txt", b"b")]
    return [
        shard("key-again", "a.tar has the key '1' twice", *good, ("1.png", png("blue"))),
        shard("key-apart", "a.tar has the key '1' twice", *good, ("1.cls", b"1")),
        shard("file-twice", "a.tar has the key '2' twice", *good, ("2.txt", b"c")),
        shard("two-texts", "has 'text', which another file", *good, ("2.json", b'{"text": "c"}')),
        shard("two-keys", "has '__key__', which", *good, ("2.json", b'{"__key__": "c"}')),
        shard("json-twice", "names 'a' twice", *good, ("2.json", b'{"a": 1, "a": 2}')),
        shard("absent", "no file matches b.tar, which {a,b}.tar names", *good, spec="{a,b}.tar"),
        shard("range", "{a..c} is not a range of shards", *good, spec="{a..c}.tar"),
        shard("many", "names 1,000,000,000 shards; name", *good, spec="{1..1000000000}.tar"),
        shard("many-braces", "names more than 100,000", *good, spec="{1..999}{1..999}.tar"),
        shard("pipe", "is an address or a command", *good, spec="pipe:cat a.tar"),
    ]


def archives() -> list[Bad]:
    found = []

    def add(name: str, content: bytes, words: str) -> None:
        found.append(Bad(f"archive-{name}", "archive", "it", words, {"it": content}))

    outside = "which would be written outside its folder"
    for number, name in enumerate(
        (
            "../x",
            "a/../../x",
            "/x",
            "..\\x",
            "C:\\x",
            "C:/x",
            "\\\\host\\share\\x",
            "a/b/../../../x",
        )
    ):
        add(f"climbs-{number}-zip", zipped((name, b"x")), outside)
        add(f"climbs-{number}-tar", tarred((name, b"x")), outside)
    for what, kind in (("link", stat.S_IFLNK), ("pipe", stat.S_IFIFO), ("socket", stat.S_IFSOCK)):
        member = zipfile.ZipInfo("odd")
        member.create_system, member.external_attr = 3, (kind | 0o777) << 16
        add(f"{what}-zip", zipped((member, b"/etc/passwd")), "only files and folders are unpacked")
    for what in ("SYMTYPE", "LNKTYPE", "FIFOTYPE", "CHRTYPE", "BLKTYPE"):
        odd = tarfile.TarInfo("odd")
        odd.type, odd.linkname = getattr(tarfile, what), "/etc/passwd"
        add(f"{what}-tar", tarred((odd, b"")), "only files and folders are unpacked")
    zeros = bytes(11 << 20)
    add("bomb-zip", zipped(("zeros", zeros)), "holds 'zeros', which would grow to 11,534,336 bytes")
    add("bomb-gz", tarred(("zeros", zeros), mode="w:gz"), "more than 200 times its packed size")
    add("bomb-bz2", tarred(("zeros", zeros), mode="w:bz2"), "more than 200 times its packed size")
    add("bomb-xz", tarred(("zeros", zeros), mode="w:xz"), "more than 200 times its packed size")
    name = tarfile.TarInfo("long")  # type: ignore[assignment]
    name.type = tarfile.GNUTYPE_LONGNAME  # type: ignore[attr-defined]
    add("header", tarred((name, bytes(2 << 20)), ("x", b"")), "a header in it is far too long")
    add("twice", zipped(("x", b"1"), ("./x", b"2")), "holds './x', which is there twice")
    add("below-a-file", zipped(("x", b"1"), ("x/y", b"2")), "cannot be unpacked")
    add("long-name", zipped(("n" * 300, b"1")), "cannot be unpacked: File name too long")
    locked = bytearray(zipped(("x", b"1")))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    add("password", bytes(locked), "which needs a password")
    whole = zipped(("x", bytes(range(256)) * 40))
    add("half-zip", whole[: len(whole) // 2], "it cannot be unpacked")
    add("half-gz", tarred(("x", whole), mode="w:gz")[:200], "it cannot be unpacked")
    add("empty", b"", "it cannot be unpacked")
    add("a-picture", png(), "it cannot be unpacked")
    changed = bytearray(whole)
    changed[40] ^= 255
    add("changed", bytes(changed), "it cannot be unpacked")
    return found


def grid(**arrays: Any) -> bytes:
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()


def pairs(texts: list[int], images: list[int]) -> bytes:
    """Return a grid of parquet, one row per pair."""
    written = io.BytesIO()
    table = {"text_id": texts, "image_id": images, "a": [0.5] * len(texts)}
    pd.DataFrame(table).astype({"text_id": int, "image_id": int}).to_parquet(written)
    return written.getvalue()


def models() -> list[Bad]:
    objects = np.array([{}, []], dtype=object)
    alone = io.BytesIO()
    np.save(alone, objects, allow_pickle=True)
    pickle = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94."
    found = [
        Bad(
            f"pickle{ending}",
            "model",
            f"logits:m{ending}",
            "is a pickle, which runs code when it is read",
            {f"m{ending}": pickle},
        )
        for ending in (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt")
    ]
    checkpoint = json.dumps({"architectures": ["CLIPModel"]}).encode()
    for weights in ("pytorch_model.bin", "model.bin"):
        files = {"m/config.json": checkpoint, f"m/{weights}": pickle}
        words = f"has its weights in {weights}, which can run code when it is read"
        found.append(Bad(f"checkpoint-{weights}", "model", "hf:m", words, files))
    objects_words = "holds Python objects, which run code when they are read"
    for name, file, content, words in (
        ("objects-npy", "g.npy", alone.getvalue(), objects_words),
        ("objects-npz", "g.npz", grid(grid=objects), objects_words),
        ("pickle-npy", "g.npy", pickle, objects_words),
        ("words", "g.npz", grid(grid=np.array([["a"]])), "expected numbers of shape"),
        ("flat", "g.npz", grid(grid=np.zeros(3)), "has shape (3,)"),
        ("four-axes", "g.npz", grid(grid=np.zeros((2, 2, 2, 2))), "expected numbers of shape"),
        ("no-texts", "g.npz", grid(grid=np.zeros((0, 2, 2))), "has shape (0, 2, 2)"),
        ("complex", "g.npz", grid(grid=np.zeros((2, 2), complex)), "of complex128; expected"),
        ("nothing", "g.npz", grid(), "it holds nothing; expected an array named 'grid'"),
        ("two-arrays", "g.npz", grid(a=np.zeros(2), b=np.zeros(2)), "it holds a, b; expected"),
        (
            "one-index",
            "g.npz",
            grid(grid=np.zeros((2, 2)), text_index=[0]),
            "an index for each",
        ),
        (
            "index-outside",
            "g.npz",
            grid(grid=np.zeros((2, 2)), text_index=[0, 5], image_index=[0, 1]),
            "text_index reaches 5; the grid has 0 to 1",
        ),
        (
            "index-fraction",
            "g.npz",
            grid(grid=np.zeros((2, 2)), text_index=[0.5], image_index=[0]),
            "expected whole numbers",
        ),
        ("torn", "g.npz", grid(grid=np.zeros((9, 9)))[:100], "cannot be read"),
        ("a-picture", "g.npy", png(), "holds Python objects"),
        ("tensors", "g.safetensors", b"\xff" * 64, "cannot be read"),
        ("text", "g.txt", b"1 2 3", "has an ending other than .npy, .npz"),
        ("parquet", "g.parquet", b"PAR1", "cannot be read"),
        ("below-zero", "g.parquet", pairs([-2, 1], [0, 0]), "whole numbers from 0; they reach -2"),
        ("no-pairs", "g.parquet", pairs([], []), "whole numbers from 0; they have no rows"),
        (
            "large-ids",
            "g.parquet",
            pairs([0, 99_999], [0, 99_999]),
            "has 2 rows for 100,000 texts × 100,000 images; expected one for every pair",
        ),
    ):
        found.append(Bad(f"grid-{name}", "model", f"logits:{file}", words, {file: content}))
    found += [
        Bad("file-for-folder", "model", "hf:m.bin", "is a file; expected", {"m.bin": pickle}),
        Bad("no-config", "model", "hf:m", "it has no config.json", {"m/x": b""}),
        Bad(
            "config",
            "model",
            "hf:m",
            "config.json is not a valid configuration",
            {"m/config.json": b"{"},
        ),
        Bad("family", "model", "hf:m", "has the architecture none", {"m/config.json": b"{}"}),
        Bad("script", "model", "torchscript:m.pt", "m.pt", {"m.pt": pickle}),
        Bad("export", "model", "export:m.pt2", "m.pt2 cannot be loaded", {"m.pt2": b"hello"}),
        Bad("onnx", "model", "onnx:m.onnx", "m.onnx", {"m.onnx": b"hello"}),
    ]
    return found


def specs() -> list[Bad]:
    return [
        Bad(f"spec-{number}", kind, spec, words)
        for number, (kind, spec, words) in enumerate(
            (
                ("data", "", "is not a valid spec; write PREFIX:NAME"),
                ("data", "csv", "is not a valid spec"),
                ("data", "csv:", "is not a valid spec"),
                ("data", ":x", "is not a valid spec"),
                ("data", "none.csv", "there is no file none.csv"),
                ("data", "ftp://x.org/a", "is an address; download the file"),
                ("model", "http://x.org/m", "is an address; name a server"),
                ("model", "", "is not a valid spec; write PREFIX:NAME"),
                ("data", "csv:none.csv", "there is no file none.csv"),
                ("data", "csv:.", "there is no file ."),
                ("data", "csv:a\0b", "there is no file a\\x00b"),
                ("data", "csv:" + "a" * 5000, "is not a valid spec: it has 5,004 characters"),
                ("data", "imagefolder:none", "there is no folder none"),
                ("data", "imagefolder:.", "has none of metadata.csv"),
                ("data", "webdataset:none-*.tar", "no file matches none-*.tar"),
                ("data", "demo:none", "there is no dataset 'demo:none'"),
                ("model", "demo:none", "there is no model 'demo:none'"),
                ("model", "demo:../concat", "there is no model 'demo:../concat'"),
                ("model", "logits:none.npz", "there is no grid none.npz"),
                ("model", "no_such_module:load", "there is no module 'no_such_module'"),
                ("model", "json:nothing", "module 'json' has no 'nothing'"),
                ("model", "os:sep", "expected a function that returns the model"),
                ("model", "a b:c", "there is no module 'a b'"),
                ("model", "..x:y", "..x"),
                ("model", "gc:collect\x1b[31m", "has no 'collect\\x1b[31m'"),
            )
        )
    ]


def runs() -> list[Bad]:
    found = []
    for name, content, words in (
        ("empty", b"", "run.json in run 'it' cannot be read"),
        ("torn", b'{"format": 1', "run.json in run 'it' cannot be read"),
        ("list", b"[]", "run.json in run 'it' is not a JSON object"),
        ("bytes", b"\xff\xfe\x00", "run.json in run 'it' cannot be read"),
        (
            "newer",
            json.dumps(MANIFEST | {"format": 99}).encode(),
            "has format 99, but this version reads",
        ),
        (
            "running",
            json.dumps(MANIFEST | {"status": "running"}).encode(),
            "was interrupted; start it again to resume it",
        ),
        (
            "failed",
            json.dumps(MANIFEST | {"status": "failed", "error": "the disk is full"}).encode(),
            "failed: the disk is full",
        ),
        (
            "cancelled",
            json.dumps(MANIFEST | {"status": "cancelled"}).encode(),
            "was cancelled; start it again to resume it",
        ),
        (
            "part",
            json.dumps(MANIFEST | {"status": "part"}).encode(),
            "is one of several shards; merge it",
        ),
        ("no-status", b"{}", "run 'it' is damaged: in run.json status is missing"),
        ("deep", b'{"a":' * 50_000, "run.json in run 'it' cannot be read"),
    ):
        found.append(Bad(f"run-{name}", "run", "it", words, {"it/run.json": content}))
    found.append(Bad("run-none", "run", "it", "there is no run 'it'", {"it/other.json": b"{}"}))
    found.append(Bad("run-file", "run", "it", "there is no run 'it'", {"it": b"{}"}))
    return found


BAD: list[Bad] = [
    *images(),
    *tables(),
    *lines(),
    *arrays(),
    *shards(),
    *frames(),
    *saved_datasets(),
    *archives(),
    *models(),
    *specs(),
    *runs(),
]


def write(bad: Bad, folder: Path) -> None:
    """Write the files of one bad input, and good images beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "good.png": png(),
        "other.png": png("blue"),
        **bad.files,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    for one in BAD:
        write(one, Path(sys.argv[1]) / one.name)
        words = f"{one.kind} {one.given[:100]!r} {one.settings}\n{one.words}\n"
        (Path(sys.argv[1]) / one.name / "words.txt").write_text(words)
    print(f"{len(BAD)} bad inputs in {sys.argv[1]}")
