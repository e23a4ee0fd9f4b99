"""Colours that follow the ground on which figures and pages stand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours that depend on a figure's background.

    Attributes
    ----------
    name : str
        "light" or "dark".
    ink : str
        Text, outlines and the full model.
    paper : str
        The background of the page; fills hollow markers.
    faint : str
        Grid lines and guides.
    signed : tuple of (float, str)
        Diverging colours from purple (lowers) over the middle (nothing) to green (raises).
    """

    name: str
    ink: str
    paper: str
    faint: str
    signed: tuple[tuple[float, str], ...]


LIGHT = Theme(
    name="light",
    ink="#1F2328",
    paper="#FFFFFF",
    faint="#D5D9DE",
    signed=(
        (0.0, "#5E2A84"),
        (0.25, "#A876B8"),
        (0.5, "#F7F7F7"),
        (0.75, "#74BF77"),
        (1.0, "#1B7837"),
    ),
)
DARK = Theme(
    name="dark",
    ink="#F0F2F5",
    paper="#0E1117",
    faint="#3A404A",
    signed=(
        (0.0, "#D9A5F0"),
        (0.25, "#9A5FB5"),
        (0.5, "#2A2E36"),
        (0.75, "#3F9C52"),
        (1.0, "#9BE39B"),
    ),
)


def theme_named(name: str | None) -> Theme:
    """Return the theme called `name`; anything but ``"dark"`` is light."""
    return DARK if name == "dark" else LIGHT
