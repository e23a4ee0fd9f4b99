"""Who is here, and what they may do; every job that a page starts or cancels goes through here."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from emap_core import jobs
from emap_core.access import Policy
from emap_core.errors import AccessError, EmapError
from emap_core.jobs import Job, Work
from pages.shared.escape import plain


def policy() -> Policy:
    """Return what visitors of this server may do."""
    return Policy.from_environment(st.get_option("server.address"))


def require_visitor() -> None:
    """Go on only for those who may come in; with sign-in set up, they sign in first."""
    try:
        rules = policy()
    except EmapError as error:
        st.error(plain(error), icon=":material/error:")
        st.stop()
    if not _has_sign_in():
        if rules.emails is not None:
            st.error(
                "EMAP_ALLOWED_EMAILS is set, but no sign-in: add [auth] to secrets.toml, as "
                "SECURITY.md says.",
                icon=":material/lock:",
            )
            st.stop()
        return
    if not st.user.get("is_logged_in"):
        st.title("EMAP Lens", anchor=False)
        st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
        st.stop()
    if not rules.admits(_address()):
        st.error(
            plain(f"{_address() or 'This account'} is not on the list of those who may come in."),
            icon=":material/lock:",
        )
        st.button("Sign out", icon=":material/logout:", on_click=st.logout)
        st.stop()


def visitor() -> str | None:
    """Return the address of who is here, None where nobody signs in."""
    return _address() if _has_sign_in() else None


def start(work: Work, command: Literal["run", "plan"] = "run") -> Job:
    """Start a job for the visitor.

    Raises
    ------
    EmapError
        If they may not, or it cannot be started.
    """
    rules = policy()
    rules.check_work(work.model, work.data, work.settings)
    return jobs.start(work, command, owner=visitor(), image_roots=rules.image_roots(work.data))


def may_cancel(job: Job) -> bool:
    """Say whether the visitor may cancel a job: with sign-in, one of their own."""
    return not policy().viewer and (job.owner is None or job.owner == visitor())


def cancel(job: Job) -> None:
    """Cancel a job for the visitor.

    Raises
    ------
    AccessError
        If they may not.
    """
    if not may_cancel(job):
        raise AccessError("only whoever started a job may cancel it")
    jobs.cancel(job)


def _has_sign_in() -> bool:
    return bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets


def _address() -> str | None:
    # A provider that has not checked an address would let anybody give anyone's.
    if st.user.get("email_verified") is False:
        return None
    email = st.user.get("email")
    return str(email) if email else None
