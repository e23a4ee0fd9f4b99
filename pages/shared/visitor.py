"""Who the visitor is and what they may do; pages start and cancel all jobs through this file."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection
from threading import Thread
from typing import Literal, NoReturn

import streamlit as st
from streamlit import config

from emap_core import jobs
from emap_core.access import Policy, check_host
from emap_core.errors import AccessError, EmapError
from emap_core.installation import with_extra
from emap_core.jobs import Job, ProbeSpecification, RunSpecification
from emap_core.runs import Run
from pages.shared.page_after_sign_in import go_to_wanted_page, keep_wanted_page
from pages.shared.plain_text import plain

_LEAVING = "signing-out"
_STARTED = "_started"


def policy() -> Policy:
    """Return what visitors of this server may do."""
    return Policy.from_environment(st.get_option("server.address"))


def is_stranger() -> bool:
    """Return whether this visitor still has to sign in, or may not come in at all."""
    try:
        rules = policy()
    except EmapError:
        return True
    if not _has_sign_in():
        return rules.emails is not None
    return not (st.user.get("is_logged_in") and rules.admits(_address()))


def require_visitor() -> None:
    """Stop the page for visitors who may not come in; with sign-in set up, ask them to sign in.

    In any case the browser has to ask for this server by one of the server's own names.
    """
    try:
        check_host(st.get_option("server.address"), st.context.headers.get("Host"))
        policy()
    except EmapError as error:
        _refuse(str(error), icon=":material/error:")
    if not is_stranger():
        return
    if not _has_sign_in():
        _refuse(
            "EMAP_ALLOWED_EMAILS is set, but sign-in is not: add [auth] to secrets.toml, as "
            "SECURITY.md explains."
        )
    if not st.user.get("is_logged_in"):
        st.title("EMAP Lens", anchor=False)
        if not _can_sign_in():
            _refuse(
                "Sign-in needs packages that are not installed here: "
                f"{with_extra('sign-in')}, then start the server again."
            )
        if _LEAVING in st.session_state:
            st.info("Signing out…", icon=":material/logout:")
        else:
            keep_wanted_page()
            st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
        st.stop()
    st.button("Sign out", icon=":material/logout:", on_click=_sign_out)
    _refuse(f"{_address() or 'This account'} is not on the list of people who may sign in.")


@functools.cache
def _upload_limit() -> int:
    return int(st.get_option("server.maxUploadSize"))


def limit_uploads() -> None:
    """Refuse every upload in viewer mode, whichever page it is for.

    Streamlit keeps whatever a session sends in memory before a page can say no.
    """
    as_configured = _upload_limit()
    wanted = 0 if policy().viewer else as_configured
    if st.get_option("server.maxUploadSize") != wanted:
        config.set_option("server.maxUploadSize", wanted)


def offer_sign_out() -> None:
    """Show in the sidebar who is signed in, with a button to sign out."""
    if _has_sign_in():
        with st.sidebar:
            st.caption(plain(_address() or "signed in"))
            st.button("Sign out", icon=":material/logout:", on_click=_sign_out)


def go_on(here: str, names: Collection[str]) -> None:
    """Lead a visitor who has just signed in from the first page to the one they asked for."""
    if _has_sign_in():
        go_to_wanted_page(here, names)


def visitor() -> str | None:
    """Return the visitor's e-mail address, or None without sign-in."""
    return _address() if _has_sign_in() else None


def start(work: RunSpecification, command: Literal["run", "plan"] = "run") -> Job:
    """Start a job for the visitor.

    Raises
    ------
    EmapError
        If they may not start it, or it cannot start.
    """
    rules = policy()
    rules.check_work(work.model, work.data, work.settings)
    data = [work.data, *filter(None, [work.settings.get("train_data")])]
    job = jobs.start(work, command, owner=visitor(), environment=rules.environment(*data))
    if command == "run":
        st.session_state.setdefault(_STARTED, set()).add(job.id)
        Thread(target=import_what_shows_a_run, daemon=True).start()
    return job


def import_what_shows_a_run() -> None:
    """Import what the pages of a run need and no others, while the visitor waits for the run."""
    import scipy.special  # noqa: F401
    import zarr  # noqa: F401

    from emap_core.presentation import charts  # noqa: F401


def is_own(job: Job) -> bool:
    """Return whether the visitor started a job, in this session or under this address."""
    own = job.owner is not None and job.owner == visitor()
    return own or job.id in st.session_state.get(_STARTED, ())


def ask(run: Run, probe: str, **choices: str | list[str] | None) -> Job:
    """Start a job for the visitor that asks a finished run one of the probes.

    Raises
    ------
    EmapError
        If they may not start it, or it cannot start.
    """
    rules = policy()
    rules.check_full()
    model, data, arguments = _made_from(run)
    rules.check_work(model, data, arguments)
    settings = {**choices, **arguments, "model": model, "data": data}
    return jobs.start(
        ProbeSpecification(run.id, probe, settings),
        "probe",
        owner=visitor(),
        environment=rules.environment(data),
    )


def _made_from(run: Run) -> tuple[str, str, dict[str, list[str]]]:
    """Return the specs that a run was made from, and further arguments for their loaders.

    The job that computed it knows folders of this machine; the run itself does not.
    """
    job = jobs.find(run.id)
    if job is not None and isinstance(job.work, RunSpecification):
        names = ("model_arg", "data_arg")
        given = {name: list(job.work.settings.get(name) or ()) for name in names}
        return job.work.model, job.work.data, given
    made = run.manifest["provenance"]
    given = {
        f"{side}_arg": [f"{k}={json.dumps(v)}" for k, v in made[side]["arguments"].items()]
        for side in ("model", "data")
    }
    return str(made["model"]["spec"]), str(made["data"]["spec"]), given


def may_cancel(job: Job) -> bool:
    """Return whether the visitor may cancel a job: with sign-in, only their own."""
    return not policy().viewer and (job.owner is None or job.owner == visitor())


def cancel(job: Job) -> None:
    """Cancel a job for the visitor.

    Raises
    ------
    AccessError
        If they may not.
    """
    if not may_cancel(job):
        raise AccessError("only the person who started a job may cancel it")
    jobs.cancel(job)


def _sign_out() -> None:
    # The browser stays signed in until it has been to the provider and back. Nothing says otherwise
    # before, and it comes back with a new session.
    st.session_state[_LEAVING] = True
    st.logout()


def _refuse(reason: str, icon: str = ":material/lock:") -> NoReturn:
    st.error(plain(reason), icon=icon)
    st.stop()


def _has_sign_in() -> bool:
    return bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets


def _can_sign_in() -> bool:
    try:
        # Streamlit imports this only once somebody is on the way to the provider.
        from authlib.integrations import starlette_client  # noqa: F401
    except ImportError:
        return False
    return True


def _address() -> str | None:
    # With an unchecked address, anybody could claim anyone's. Some providers send words.
    if str(st.user.get("email_verified")).casefold() == "false":
        return None
    email = st.user.get("email")
    return str(email) if email else None
