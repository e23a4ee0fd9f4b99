"""What is this, what can I do with it? A finished run to open, or the demo to start with."""

from __future__ import annotations

from pages import shared

shared.header("Does your model use both sides?")
