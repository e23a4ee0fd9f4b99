"""Slices: parts of a run's examples, by a filter, by hand, or both."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emap_core.formula_injection import harmless
from emap_core.types import Mask

if TYPE_CHECKING:
    import pandas as pd

SHOWN = {
    "flips": "the prediction changes without interactions",
    "helped": "right only with interactions",
    "hurt": "right only without interactions",
    "changed": "from one wrong answer to another",
    "same": "the same prediction either way",
    "both_right": "right either way",
    "both_wrong": "wrong either way",
    "right": "right",
    "wrong": "wrong",
}
"""What a filter can ask about right and wrong, with and without interactions: name to words."""

OF_DATA = "data."
"""Prefix of the data's own columns in the table of examples."""

_NEED_LABELS = ("helped", "hurt", "changed", "both_right", "both_wrong", "right", "wrong")
_LONGEST_CODE = 2_000


@dataclass(frozen=True)
class Filter:
    """Conditions on examples; an empty field asks nothing.

    Attributes
    ----------
    show : str
        One of `SHOWN`.
    label, prediction, kind : str
        The value must equal this.
    where : str
        ``COLUMN=VALUE``: a column of the data has this value.
    words : str
        The id, the text or the label contains this; case does not matter.
    least, most : str
        Limits of the size of the interaction, as numbers.
    """

    show: str = ""
    label: str = ""
    prediction: str = ""
    kind: str = ""
    where: str = ""
    words: str = ""
    least: str = ""
    most: str = ""

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Filter:
        """Return the filter in the settings of a view; other settings are ignored."""
        return cls(**{f.name: settings.get(f.name, "") for f in fields(cls)})

    def settings(self) -> dict[str, str]:
        """Return the fields that ask something."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}

    def mask(self, examples: pd.DataFrame) -> Mask:
        """Return a mask of the run's examples that pass, shape (N,)."""
        passed = _shown(examples, self.show)
        for column in ("label", "prediction", "kind"):
            wanted = getattr(self, column)
            if wanted:
                passed &= (examples[column].astype(object) == wanted).to_numpy()
        if (held := _holding(examples, self.where)) is not None:
            passed &= held
        if self.words:
            found = np.zeros(len(examples), dtype=bool)
            for column in ("id", "text", "label"):
                words = examples[column].fillna("").astype(str)
                found |= words.str.contains(self.words, case=False, regex=False).to_numpy()
            passed &= found
        size = examples["interaction_size"].to_numpy()
        least, most = _number(self.least), _number(self.most)
        if least is not None:
            passed &= size >= least
        if most is not None:
            passed &= size <= most
        return passed

    def __str__(self) -> str:
        """Return the filter in words."""
        said = [SHOWN[self.show]] if self.show in SHOWN else []
        said += [
            f"{name} {getattr(self, name)}"
            for name in ("label", "prediction", "kind")
            if getattr(self, name)
        ]
        if self.where:
            said.append(self.where.replace("=", " ", 1))
        if self.words:
            said.append(f"“{self.words}” in id, text or label")
        if _number(self.least) is not None:
            said.append(f"size of interaction at least {self.least}")
        if _number(self.most) is not None:
            said.append(f"size of interaction at most {self.most}")
        return ", ".join(said) or "all examples"


def possible(examples: pd.DataFrame) -> list[str]:
    """Return the keys of `SHOWN` that can apply to these examples."""
    if examples["flip"].isna().all():
        return []
    labelled = not examples["correct"].isna().all()
    return [name for name in SHOWN if labelled or name not in _NEED_LABELS]


def correct_without(examples: pd.DataFrame) -> pd.Series:
    """Return whether each example is right without interactions, or None without labels.

    By the leave-one-out projection, or the plain one if that is undefined.
    """
    return examples["correct_emap_leave_one_out"].where(
        examples["prediction_emap_leave_one_out"].notna(), examples["correct_emap"]
    )


def prediction_without(examples: pd.DataFrame) -> pd.Series:
    """Return each example's prediction without interactions; see `correct_without`."""
    return examples["prediction_emap_leave_one_out"].fillna(examples["prediction_emap"])


def ranked(examples: pd.DataFrame, mask: Mask) -> NDArray[np.intp]:
    """Return the positions that pass: flips first, then by size of interaction."""
    positions = np.flatnonzero(mask)
    same = (examples["flip"] == "same").to_numpy()[positions]
    size = examples["interaction_size"].to_numpy()[positions]
    return np.asarray(positions[np.lexsort((-size, same))])


def encode_positions(positions: Sequence[int] | NDArray[np.intp]) -> str | None:
    """Return positions as a short text for a link, or None if it would not be short."""
    order = np.unique(np.asarray(positions, dtype=np.int64))
    steps = np.diff(order, prepend=-1)
    packed = zlib.compress(" ".join(map(str, steps)).encode(), 9)
    code = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return code if len(code) <= _LONGEST_CODE else None


def decode_positions(code: str, n_examples: int) -> NDArray[np.intp]:
    """Return the positions in a link; none if it is not a link of this kind."""
    if len(code) > _LONGEST_CODE:
        return np.empty(0, dtype=np.intp)
    try:
        packed = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
        # A forged link must not unpack to more than all positions need.
        text = zlib.decompressobj().decompress(packed, 8 * n_examples + 1_000).decode()
        steps = np.array([int(step) for step in text.split()], dtype=np.int64)
    except (ValueError, binascii.Error, zlib.error, OverflowError):
        return np.empty(0, dtype=np.intp)
    positions = np.cumsum(steps) - 1
    return positions[(positions >= 0) & (positions < n_examples)].astype(np.intp)


def to_csv(examples: pd.DataFrame, mask: Mask) -> str:
    """Return the examples that pass as CSV in which a spreadsheet finds no formula."""
    chosen = examples.loc[mask].drop(
        columns=["text_index", "image_index", "label_index"], errors="ignore"
    )
    return safe_csv(chosen)


def safe_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in which a spreadsheet finds no formula."""
    import pandas as pd

    columns = {
        harmless(name): column
        if pd.api.types.is_numeric_dtype(column)
        else [harmless(value) for value in column]
        for name, column in table.items()
    }
    return str(pd.DataFrame(columns).to_csv(index=False))


def _holding(examples: pd.DataFrame, where: str) -> Mask | None:
    """Return a mask where a data column has the value, or None if there is no such column."""
    held = [
        (examples[name] == where[len(column) + 1 :]).to_numpy(dtype=bool)
        for name in map(str, examples.columns)
        if name.startswith(OF_DATA) and where.startswith(f"{(column := name[len(OF_DATA) :])}=")
    ]
    # Names and values may also contain an equals sign.
    return np.any(held, axis=0) if held else None


def _shown(examples: pd.DataFrame, show: str) -> Mask:
    everything = np.ones(len(examples), dtype=bool)
    if show not in possible(examples):
        return everything
    flipped = np.asarray(examples["flip"] != "same")
    if show in ("flips", "same"):
        return flipped if show == "flips" else ~flipped
    right = examples["correct"].to_numpy(dtype=bool)
    without = correct_without(examples).to_numpy(dtype=bool)
    masks: dict[str, Mask] = {
        "helped": right & ~without,
        "hurt": ~right & without,
        "changed": flipped & (right == without),
        "both_right": right & without,
        "both_wrong": ~right & ~without,
        "right": right,
        "wrong": ~right,
    }
    return masks[show]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
