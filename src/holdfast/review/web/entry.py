"""In and out: login, one-time token, single sign-on, logout."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from holdfast import html
from holdfast.review.users import check_password, close_session
from holdfast.review.web.access import COOKIE, LOCAL_USER, Access, check_form, check_origin
from holdfast.review.web.guard import RateLimit

Text = Annotated[str, Form()]


def router(access: Access) -> APIRouter:
    """Routes that need no session."""
    routes = APIRouter()
    by_peer, by_name = RateLimit(20, 20), RateLimit(5, 5)

    @routes.get("/login")
    def login_page(request: Request) -> Any:
        named = access.named_by_proxy(request)
        if named is not None:
            return access.enter(named)
        return _page(access, "")

    @routes.post("/login")
    def login(request: Request, name: Text = "", password: Text = "") -> Any:
        check_origin(request)
        peer = request.client.host if request.client else ""
        if not (by_peer.allow(peer) and by_name.allow(name[:100])):
            return _page(access, "Too many attempts: wait a minute.", 429)
        if access.local or not check_password(access.store, name, password):
            return _page(access, "Wrong name or password.", 403)
        return access.enter(name)

    @routes.get("/enter")
    def enter(request: Request, token: str = "") -> Any:
        peer = request.client.host if request.client else ""
        if not by_peer.allow(peer):
            raise HTTPException(429, "too many attempts: wait a minute")
        if not access.spend_token(token):
            raise HTTPException(403, "this link was used already, or is wrong: start the server again")
        return access.enter(LOCAL_USER)

    @routes.post("/logout")
    def logout(request: Request, csrf: Text = "") -> Any:
        session = access.required(request)
        if session.may_decide:
            check_form(request, session, csrf)
        else:
            check_origin(request)
        close_session(access.store, request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    return routes


def _page(access: Access, problem: str, status: int = 200) -> HTMLResponse:
    values = {"problem": problem, "local": access.local, "session": None, "title": "Log in"}
    return HTMLResponse(html.render("holdfast.review", "login.html.j2", values), status)
