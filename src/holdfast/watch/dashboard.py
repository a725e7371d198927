"""The live page, behind the same entrance as the review and served with it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, StreamingResponse

from holdfast import html
from holdfast.errors import HoldfastError
from holdfast.review import Store
from holdfast.review.users import Session
from holdfast.review.web.access import Access
from holdfast.review.web.app import create_app
from holdfast.review.web.guard import App
from holdfast.watch.summary import summary

LINKS = (("Watch", "/watch"),)
_STREAMS = 64


def create_dashboard(
    store: Store, access: Access, *, hosts: frozenset[str] = frozenset(), every_s: float = 2.0
) -> App:
    """The review application with the live page beside it."""
    access.links = LINKS
    return create_app(store, access, hosts=hosts, more=[router(store, access, every_s)])


def router(store: Store, access: Access, every_s: float) -> APIRouter:
    """The page and its stream of events."""
    routes = APIRouter()
    open_streams = 0

    def live() -> str:
        return html.render("holdfast.watch", "live.html.j2", {"s": summary(store)})

    @routes.get("/watch")
    def page(session: Annotated[Session, Depends(access.required)]) -> Any:
        values = {"session": session, "title": "Watch", "links": LINKS, "live": live()}
        return HTMLResponse(html.render("holdfast.watch", "dashboard.html.j2", values))

    @routes.get("/watch/events")
    async def events(request: Request, session: Annotated[Session, Depends(access.required)]) -> Any:
        nonlocal open_streams
        if open_streams >= _STREAMS:
            raise HTTPException(503, "too many live pages are open")
        open_streams += 1

        async def stream() -> AsyncIterator[bytes]:
            nonlocal open_streams
            try:
                last = ""
                while not await request.is_disconnected():
                    try:
                        if await asyncio.to_thread(access.session, request) is None:
                            return  # the session ended: so does the stream
                        now = await asyncio.to_thread(live)
                        if now != last:
                            yield b"".join(b"data: %s\n" % line.encode() for line in now.splitlines()) + b"\n"
                        last = now
                    except HoldfastError:
                        yield b"event: away\ndata: the store is away\n\n"
                        last = ""
                    await asyncio.sleep(every_s)
            finally:
                open_streams -= 1

        return StreamingResponse(stream(), media_type="text/event-stream")

    return routes
