"""The review application: queue, item, decisions, bulk, progress."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from holdfast import html
from holdfast.errors import HoldfastError, InputError
from holdfast.review.store import Store
from holdfast.review.web.access import Access
from holdfast.review.web.guard import App, Guard

if TYPE_CHECKING:
    from starlette.responses import Response

_STATIC = Path(__file__).parent.parent / "static"
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def create_app(
    store: Store,
    access: Access,
    *,
    hosts: frozenset[str] = frozenset(),
    more: Sequence[APIRouter] = (),
) -> App:
    """The ASGI application.

    Args:
        store: Items, decisions, users.
        access: How people get in.
        hosts: Host names to answer to; empty for any. Local mode always answers to loopback only.
        more: Pages of other rooms, behind the same entrance.
    """
    from holdfast.review.web import acts, entry, looks

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(entry.router(access))
    app.include_router(looks.router(store, access))
    app.include_router(acts.router(store, access))
    for pages in more:
        app.include_router(pages)
    add_static(app, _STATIC)
    add_errors(app, "holdfast.review")
    return Guard(app, hosts=LOCAL_HOSTS if access.local else hosts)


_LOG = logging.getLogger(__name__)
_AWAY = (
    "The store cannot be reached at the moment. Your last step was most likely not saved: "
    "try again in a little while; the item's history shows what was kept."
)


def add_static(app: FastAPI, folder: Path) -> None:
    """Serve a room's own files and the style sheet that all pages share."""
    shared = Path(str(html.__file__)).parent / "templates" / "style.css"

    @app.get("/static/style.css", include_in_schema=False)
    def style() -> Any:
        from starlette.responses import FileResponse

        return FileResponse(shared, media_type="text/css")

    app.mount("/static", StaticFiles(directory=folder), name="static")


def add_errors(app: FastAPI, package: str) -> None:
    """Every failure is a page that says what was not done; never a traceback."""

    async def page(request: Request, status: int, text: str) -> Response:
        values = {"text": text, "status": status, "session": None, "title": "Not done"}
        return HTMLResponse(html.render(package, "error.html.j2", values), status)

    async def refused(request: Request, error: Any) -> Response:
        location = (error.headers or {}).get("location")
        if location:
            return RedirectResponse(location, error.status_code)
        return await page(request, error.status_code, str(error.detail))

    async def failed(request: Request, error: Any) -> Response:
        if isinstance(error, InputError):
            return await page(request, 400, str(error))
        # The reason may name the database's address: that is for the server's log.
        _LOG.error("%s", error)
        return await page(request, 503, _AWAY)

    async def crashed(request: Request, error: Any) -> Response:
        return await page(request, 500, "Something went wrong; nothing was saved. The server's log has more.")

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(404, refused)
    app.add_exception_handler(HoldfastError, failed)
    app.add_exception_handler(500, crashed)


def serve(app: App, host: str, port: int) -> None:
    """Run the application until it is interrupted."""
    import uvicorn

    uvicorn.run(
        app,
        host=host,
        port=port,
        proxy_headers=False,  # the peer's address decides who may name users
        server_header=False,
        log_level="warning",
        h11_max_incomplete_event_size=64 << 10,
    )
