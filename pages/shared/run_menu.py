"""What can be done with a run itself: give it another name, or delete it."""

from __future__ import annotations

import streamlit as st

from emap_core.errors import EmapError
from emap_core.presentation.run_titles import run_title
from emap_core.runs import RunInfo
from emap_core.runs.changes import delete_run, rename_run
from emap_core.runs.name import LONGEST_NAME
from pages.shared.access import policy
from pages.shared.escape import plain
from pages.shared.runs import forget_lists
from pages.shared.selection import select, selected


def run_menu(info: RunInfo) -> None:
    """Draw the menu of a run; nothing where visitors only look."""
    if policy().viewer:
        return
    # Keys hold the created time: a run computed again under its id starts with its own name.
    key = f"{info.id}-{info.manifest.get('created')}"
    with st.popover("", icon=":material/more_vert:", type="tertiary", help="Rename or delete"):
        st.session_state[f"name-{key}"] = info.manifest.get("name") or ""
        st.text_input(
            "Name",
            key=f"name-{key}",
            max_chars=LONGEST_NAME,
            placeholder=run_title({**info.manifest, "name": None}),
            on_change=_rename,
            args=(info.id, f"name-{key}"),
        )
        sure = st.checkbox("Delete this run and all its files", key=f"sure-{key}")
        st.button(
            "Delete",
            key=f"delete-{key}",
            icon=":material/delete:",
            disabled=not sure,
            on_click=_delete,
            args=(info.id,),
        )


def _rename(run_id: str, key: str) -> None:
    try:
        policy().check_full()
        rename_run(run_id, st.session_state[key])
    except EmapError as error:
        st.toast(plain(error), icon=":material/error:")
    forget_lists()


def _delete(run_id: str) -> None:
    try:
        policy().check_full()
        delete_run(run_id)
        st.toast("The run is deleted.", icon=":material/delete:")
    except EmapError as error:
        st.toast(plain(error), icon=":material/error:")
    if selected("run") == run_id:
        select(run=None, example=None)
    forget_lists()
