"""What can be wrong with a user's input, each with a message that says what would be right."""

from emap_core.options import with_options_named

_LONGEST = 1_000


class EmapError(Exception):
    """Base of every error that a user's input can cause; its message is one line for people."""

    def __str__(self) -> str:
        # What is wrong may be quoted in it: line breaks, escapes for terminals, a whole novel.
        words = with_options_named(super().__str__())
        if len(words) > 20 * _LONGEST:
            words = f"{words[: 10 * _LONGEST]} … {words[-10 * _LONGEST :]}"
        words = "".join(c if c.isprintable() else _escaped(c) for c in words)
        words = " ".join(words.split())
        if len(words) <= _LONGEST:
            return words
        return f"{words[: _LONGEST // 2]} … {words[-_LONGEST // 2 :]}"


def reason(error: Exception) -> str:
    """Return what an error of a library says, its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _escaped(character: str) -> str:
    return " " if character.isspace() else ascii(character)[1:-1]


class SpecError(EmapError):
    """A spec string names no known loader, or its target cannot be loaded."""


class ModelError(EmapError):
    """A model breaks the contract: wrong shape, values that are not numbers, missing methods."""


class DatasetError(EmapError):
    """A dataset breaks the contract: too few examples, unequal lengths, unreadable images."""


class LabelError(DatasetError):
    """Labels do not fit the classes of the model or the task."""


class SettingError(EmapError):
    """A keyword argument or command-line flag has a value that it cannot have."""


class RunError(EmapError):
    """A run folder is missing, damaged, unfinished or belongs to other work."""


class AccessError(EmapError):
    """The operator of this server does not allow what was asked for."""


class MissingExtraError(EmapError):
    """An optional dependency is needed that is not installed."""


class Cancelled(EmapError):  # noqa: N818 - nothing went wrong
    """A run was asked to stop; what it had finished is kept."""
