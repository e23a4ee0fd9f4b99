"""Cells that are the same text in a spreadsheet, and never a formula."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\n")


def harmless(cell: object) -> object:
    """Return a text that no spreadsheet takes for a formula or for two rows; others as they are.

    A number with a sign is a number, and stays.

    Source: OWASP, "CSV Injection". Python's csv module, and others, quote a cell for a line feed in
    it and not for a carriage return, behind which a new row would begin.
    """
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{cell}" if cell.startswith(_FORMULA) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isprintable()
