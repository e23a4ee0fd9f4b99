"""Start: what is this, what can I do with it?"""

from __future__ import annotations

from pages import shared

shared.header("Does your model use both sides?")
