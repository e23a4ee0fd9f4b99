"""What can be wrong with a user's input; every message says what would be right."""

from emap_core.option_names import with_options_named

_LONGEST = 1_000


class EmapError(Exception):
    """Base of every error that a user's input can cause; its message is one line for people."""

    def __str__(self) -> str:
        # Messages quote input: it may hold line breaks, terminal escapes, a whole novel.
        words = with_options_named(super().__str__())
        if len(words) > 20 * _LONGEST:
            words = f"{words[: 10 * _LONGEST]} … {words[-10 * _LONGEST :]}"
        words = "".join(c if c.isprintable() else _escaped(c) for c in words)
        words = " ".join(words.split())
        if len(words) <= _LONGEST:
            return words
        return f"{words[: _LONGEST // 2]} … {words[-_LONGEST // 2 :]}"


def reason(error: BaseException) -> str:
    """Return the message of a library's error, or its kind if it has no message."""
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
    """A keyword argument or command-line flag has an invalid value."""


class RunError(EmapError):
    """A run folder is missing, damaged, unfinished or belongs to other work."""


class AccessError(EmapError):
    """The operator of this server does not allow this."""


class MissingExtraError(EmapError):
    """A needed optional dependency is not installed."""


class Cancelled(EmapError):  # noqa: N818 - nothing went wrong
    """A run was asked to stop; finished work is kept."""
