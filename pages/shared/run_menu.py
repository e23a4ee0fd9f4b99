"""What visitors can do with a run itself: describe it, archive it, or delete it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from emap_core.access import Edit
from emap_core.errors import EmapError
from emap_core.presentation.run_list import tags_of
from emap_core.presentation.run_titles import run_title
from emap_core.runs import RunInfo
from emap_core.runs.annotations import LONGEST_COMMENT, LONGEST_NAME, MOST_TAGS
from emap_core.runs.edit_run import annotate_run, archive_run, delete_run
from pages.shared.plain_text import plain
from pages.shared.run_and_example import all_runs, forget_lists
from pages.shared.url_selection import select, selected
from pages.shared.visitor import policy


def run_menu(info: RunInfo) -> None:
    """Draw the menu of a run; nothing if visitors may only look."""
    rules = policy()
    if not rules.may("annotate"):
        return
    # Keys hold the creation time: a run computed again under the same id starts afresh.
    key = f"{info.id}-{info.manifest.get('created')}"
    menu = st.popover(
        "",
        key=f"menu-{key}",
        icon=":material/more_vert:",
        type="tertiary",
        help="Name, tags, comment and more",
        on_change="rerun",
    )
    # Each of hundreds of runs has a menu, and a visitor opens one.
    if not menu.open:
        return
    with menu:
        _annotations(info, key)
        if rules.may("archive"):
            _archive(info, key)
        if rules.may("delete"):
            _delete(info, key)


def said_of(info: RunInfo) -> None:
    """Show the tags and the comment of a run, if it has any."""
    tags, comment = info.manifest.get("tags") or (), info.manifest.get("comment")
    if tags:
        st.markdown(" ".join(f":gray-badge[{plain(tag)}]" for tag in tags))
    if comment:
        st.caption("  \n".join(map(plain, comment.splitlines())))


def _annotations(info: RunInfo, key: str) -> None:
    said = info.manifest
    # The run itself is the truth, whoever changed it.
    for field in ("name", "tags", "comment"):
        st.session_state[f"{field}-{key}"] = said.get(field) or ([] if field == "tags" else "")

    def changed(field: str) -> None:
        value = st.session_state[f"{field}-{key}"]
        _do("annotate", lambda: annotate_run(info.id, **{field: value}))

    st.text_input(
        "Name",
        key=f"name-{key}",
        max_chars=LONGEST_NAME,
        placeholder=run_title({**said, "name": None}),
        on_change=changed,
        args=("name",),
    )
    st.multiselect(
        "Tags",
        [*tags_of(all_runs())],
        key=f"tags-{key}",
        accept_new_options=True,
        max_selections=MOST_TAGS,
        placeholder="Type a word, then Enter",
        on_change=changed,
        args=("tags",),
    )
    st.text_area(
        "Comment",
        key=f"comment-{key}",
        max_chars=LONGEST_COMMENT,
        height=100,
        placeholder="What a reader should know",
        on_change=changed,
        args=("comment",),
    )


def _archive(info: RunInfo, key: str) -> None:
    st.button(
        "List it again" if info.is_archived else "Archive",
        key=f"archive-{key}",
        icon=":material/unarchive:" if info.is_archived else ":material/archive:",
        help="Lists hide an archived run; links to it still work.",
        on_click=_archived,
        args=(info.id, not info.is_archived),
    )


def _archived(run_id: str, archived: bool) -> None:
    _do("archive", lambda: archive_run(run_id, archived))


def _delete(info: RunInfo, key: str) -> None:
    sure = st.checkbox("Delete this run and all its files", key=f"sure-{key}")
    st.button(
        "Delete",
        key=f"delete-{key}",
        icon=":material/delete:",
        disabled=not sure,
        on_click=_deleted,
        args=(info.id,),
    )


def _deleted(run_id: str) -> None:
    if _do("delete", lambda: delete_run(run_id)):
        st.toast("The run is deleted.", icon=":material/delete:")
        if selected("run") == run_id:
            select(run=None, example=None)


def _do(edit: Edit, change: Callable[[], None]) -> bool:
    """Change something about a run for the visitor; return whether it worked."""
    try:
        policy().check_edit(edit)
        change()
    except EmapError as error:
        st.toast(plain(error), icon=":material/error:")
        return False
    finally:
        forget_lists()
    return True
