"""EMAP Lens: the dashboard's server, and what it draws for each visitor."""

from __future__ import annotations

import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

HOUSE = Path(__file__).parent


def draw() -> None:
    """Draw the page the visitor is on."""
    from emap_core.errors import EmapError
    from emap_core.option_names import speak
    from pages import PAGES, page_names, shared

    speak("browser")
    st.set_page_config(
        page_title="EMAP Lens",
        page_icon=str(HOUSE / "assets" / "logo.svg"),
        layout="wide",
        initial_sidebar_state=220,
    )
    st.logo(str(HOUSE / "assets" / "logo.svg"), size="large")

    run = None if shared.is_stranger() else shared.current_run()
    sections: dict[str, list[st.Page]] = {}
    for one in PAGES:
        sections.setdefault(one.section, []).append(
            st.Page(
                one.path,
                title=one.title,
                icon=f":material/{one.icon}:",
                url_path=one.name,
                default=one is PAGES[0],
                visibility="visible" if run is None or one.applies(run) else "hidden",
            )
        )
    page = st.navigation(sections, position="hidden")
    shared.require_visitor()
    shared.list_pages(sections)
    shared.draw_again_when_connected()
    shared.attend_to_figures()
    shared.limit_uploads()
    shared.offer_sign_out()
    shared.go_on(page.url_path, page_names())
    shared.return_large_blocks()
    try:
        shared.say_what_runs(page.url_path)
        page.run()
        shared.contents()
        if page.url_path:
            shared.complete_address()
        shared.settle(page.url_path)
    except EmapError as error:
        # The run was damaged or deleted after it was opened; the other pages still work.
        st.error(shared.plain(error), icon=":material/error:")
    except MemoryError:
        st.error(
            "This page needs more memory than the server has. Choose a smaller run, or open it on "
            "a larger machine.",
            icon=":material/error:",
        )


@asynccontextmanager
async def imports_ahead(_: object) -> AsyncIterator[None]:
    """Import what pages need while the first visitor's browser is still loading."""
    Thread(target=import_pages, daemon=True).start()
    yield


def import_pages() -> None:
    """Import what the pages Start and Run need, and keep it out of garbage collection.

    Otherwise the first page collects it, before the browser has received all of that page.
    """
    from emap_core.datasets import preview, upload  # noqa: F401
    from emap_core.models import demo  # noqa: F401
    from pages import shared  # noqa: F401

    gc.collect()
    gc.freeze()


class WithoutDelay:
    """Send each part of an answer at once.

    Streamlit opens its socket in a way in which asyncio does not recognise TCP, so that the end of
    each small answer waits up to 40 milliseconds until the browser has confirmed its beginning.

    Parameters
    ----------
    answer : callable
        The rest of the server, as ASGI has it.
    """

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or talk over a web socket."""
        connection = getattr(getattr(receive, "__self__", None), "transport", None)
        if connection is not None:
            # Another server may use a socket of another kind, or none.
            with suppress(OSError, AttributeError):
                connection.get_extra_info("socket").setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NODELAY, True
                )
        await self._answer(scope, receive, send)


# Streamlit serves `app` and runs this same file, as a script, for each visitor.
if __name__ == "__main__":
    draw()
else:
    app = st.App(HOUSE / "app.py", lifespan=imports_ahead, middleware=[Middleware(WithoutDelay)])
