"""Cells that a spreadsheet shows as the same text and never runs as a formula."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\n")


def harmless(cell: object) -> object:
    """Return a text that no spreadsheet takes for a formula or for two rows.

    Other texts stay as they are; a number with a sign is a number.

    Source: OWASP, "CSV Injection". Python's csv module, like others, quotes a cell that contains a
    line feed but not one with a carriage return, which would start a new row.
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
