"""The rows of a table, and what is wrong with some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emap_core.datasets.base import ImageFile, ImageFiles, has_address
from emap_core.datasets.table_values import BadValueError
from emap_core.errors import DatasetError, LabelError
from emap_core.modalities import BadItemError, Modality
from emap_core.option_names import option

if TYPE_CHECKING:
    import pandas as pd


class Rows:
    """The rows of a table, and what is wrong with some of them."""

    def __init__(self, source: str, table: pd.DataFrame, folder: Path, skip_bad: bool) -> None:
        self.source = source
        self.table = table
        self.folder = folder
        self.skip_bad = skip_bad
        # Runs list the rows left out and go to others, so they must not name folders of this
        # machine.
        called = (Path(source).name or source) if skip_bad else source
        self.names: list[str] = table.attrs.get("rows") or [
            f"row {row} of {called}" for row in range(1, len(table) + 1)
        ]
        self.wrong: dict[int, str] = {}
        for row, message in table.attrs.get("wrong", {}).items():
            self._refuse(row, f"{self.names[row]}: {message}", DatasetError)
        # Without a good row, there may not be any column.
        self.kept()

    def read(
        self,
        column: str,
        convert: Callable[[Any], Any],
        cells: Sequence[Any] | None = None,
        *,
        paths: bool = False,
    ) -> list[Any]:
        """Return the cells of a column after `convert`, with None in bad rows.

        `cells` are its cells if they are made from other columns.
        """
        values: list[Any] = []
        for row, value in enumerate(self.table[column].tolist() if cells is None else cells):
            try:
                if isinstance(value, BadValueError):
                    # The content of a cell that was made from others.
                    raise value
                values.append(convert(value))
            except BadValueError as error:
                kind = LabelError if error.of_label else DatasetError
                file = self.folder / value if paths and isinstance(value, str) else None
                self._refuse(row, f"{self.cell_name(row, column)}: {error}", kind, file)
                values.append(None)
        return values

    def check_images(self, files: Sequence[Any]) -> None:
        """Look into each different image file; decode it if bad rows are left out."""
        checked: dict[Any, str | None] = {}
        for row, file in enumerate(files):
            if row in self.wrong or has_address(file):
                continue
            if file not in checked:
                # Name each row that shows the image, not only the first.
                image = ImageFiles([file], [""])
                checked[file] = None
                try:
                    image.check(0)
                    if self.skip_bad:
                        image[0]
                except DatasetError as error:
                    checked[file] = str(error)
            if (message := checked[file]) is not None:
                self._refuse(row, f"{self.image_name(row, file)} {message}", DatasetError, file)

    def check_items(self, kind: Modality, sources: Sequence[Any], name: str) -> None:
        """Look for the file of each item; open it if bad rows are left out."""
        checked: dict[str, str | None] = {}
        for row, source in enumerate(sources):
            if row in self.wrong:
                continue
            key = kind.key(source)
            if key not in checked:
                checked[key] = None
                if isinstance(source, Path) and not source.is_file():
                    checked[key] = "does not exist"
                elif self.skip_bad:
                    try:
                        kind.open(source)
                    except BadItemError as error:
                        checked[key] = str(error)
            if (message := checked[key]) is not None:
                called = self.item_name(row, source, name)
                self._refuse(row, f"{called} {message}", DatasetError, source)

    def item_name(self, row: int, source: Any, name: str) -> str:
        """Return what to call an item of a side in messages."""
        which = f" {source}" if isinstance(source, Path) else ""
        return f"{name}{which} in {self.names[row]}"

    def image_name(self, row: int, file: ImageFile) -> str:
        """Return what to call an image in messages."""
        return f"{_image_name(file)} in {self.names[row]}"

    def cell_name(self, row: int, column: str) -> str:
        """Return what to call a cell in messages."""
        return f"{self.names[row]}, column {column!r}"

    def kept(self) -> list[int]:
        """Return the rows with nothing wrong."""
        kept = [row for row in range(len(self.table)) if row not in self.wrong]
        if not kept:
            raise DatasetError(f"{self.source} has no valid row; the first: {self.wrong[0]}")
        return kept

    def _refuse(
        self, row: int, message: str, kind: type[DatasetError], file: ImageFile | None = None
    ) -> None:
        if not self.skip_bad:
            if isinstance(file, Path) and message.endswith(" does not exist"):
                message = f"{message}; {option('image_root')} says in which folder images are"
            raise kind(f"{message} ({option('skip_bad', 'true')} leaves such rows out)")
        if isinstance(file, Path):
            # Messages may contain only the beginning of a long path.
            for path in (str(file), str(file)[:60]) if file.is_absolute() else (str(file),):
                message = message.replace(path, self._as_written(file))
        self.wrong.setdefault(row, str(kind(message)))

    def _as_written(self, file: Path) -> str:
        within = file.is_relative_to(self.folder)
        return str(file.relative_to(self.folder)) if within else file.name


def _image_name(file: ImageFile) -> str:
    if isinstance(file, tuple):
        return " beside ".join(map(_image_name, file))
    return "the image" if isinstance(file, bytes) else f"image {file}"
