"""Pieces that several pages share; pages hold no arithmetic of their own."""

from pages.shared.access import cancel, may_cancel, policy, require_visitor, start
from pages.shared.entry import settle
from pages.shared.escape import escaped, plain
from pages.shared.layout import about, empty, header, link, next_step, say
from pages.shared.progress import headline, newest, progress
from pages.shared.runs import (
    all_runs,
    current_class,
    current_example,
    current_run,
    finished_runs,
    known_verdict,
    open_run,
    require_run,
    run_info,
    run_key,
    run_labels,
    select_class,
    select_example,
    step_example,
)
from pages.shared.selection import (
    choose,
    select,
    selected,
    selection,
    set_view,
    view,
    view_key,
)
from pages.shared.show import drawn, selected_ids, selected_points, show, text, theme, thumbnail
from pages.shared.words import disk, duration

__all__ = [
    "about",
    "all_runs",
    "cancel",
    "choose",
    "current_class",
    "current_example",
    "current_run",
    "disk",
    "drawn",
    "duration",
    "empty",
    "escaped",
    "finished_runs",
    "header",
    "headline",
    "known_verdict",
    "link",
    "may_cancel",
    "newest",
    "next_step",
    "open_run",
    "plain",
    "policy",
    "progress",
    "require_run",
    "require_visitor",
    "run_info",
    "run_key",
    "run_labels",
    "say",
    "select",
    "select_class",
    "select_example",
    "selected",
    "selected_ids",
    "selected_points",
    "selection",
    "set_view",
    "settle",
    "show",
    "start",
    "step_example",
    "text",
    "theme",
    "thumbnail",
    "view",
    "view_key",
]
