"""Who is there: cookies, single sign-on behind a trusted proxy, the local one-time token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse

from holdfast.errors import InputError
from holdfast.review.store import Store
from holdfast.review.users import Session, add_user, find_session, open_session, role_of

if TYPE_CHECKING:
    from starlette.responses import Response

COOKIE = "holdfast_session"
LOCAL_USER = "local"


@dataclass
class Access:
    """How people get in.

    Attributes:
        store: The store with users and sessions.
        local: Single-user mode: one token, used once, gives the session of a lead.
        sso_header: Header that names the user; only believed from `proxies`.
        proxies: Addresses or networks of the proxies in front.
        secure: Cookies only over HTTPS.
        links: Pages of other rooms in the bar, as name and path.
    """

    store: Store
    local: bool = False
    sso_header: str = ""
    proxies: tuple[str, ...] = ()
    secure: bool = False
    links: tuple[tuple[str, str], ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def __post_init__(self) -> None:
        if self.sso_header and not self.proxies:
            raise InputError(
                "single sign-on needs the address of the proxy in front",
                fix="add --trusted-proxy ADDRESS: without it anybody could send the header",
            )
        try:
            self._networks = [ipaddress.ip_network(p, strict=False) for p in self.proxies]
        except ValueError as error:
            raise InputError(f"not an address: {error}") from None
        if self.local:
            add_user(self.store, LOCAL_USER, "lead")

    def session(self, request: Request) -> Session | None:
        """The session of a request, or None."""
        cookie = request.cookies.get(COOKIE, "")
        return find_session(self.store, cookie) if cookie else None

    def required(self, request: Request) -> Session:
        """The session of a request; sends others to the entrance.

        Raises:
            HTTPException: 303 to the login page; nothing of the page is shown.
        """
        found = self.session(request)
        named = self.named_by_proxy(request)
        if found is not None and (named is None or named == found.who):
            return found
        raise HTTPException(303, headers={"location": "/login"})

    def named_by_proxy(self, request: Request) -> str | None:
        """The user that a trusted proxy vouches for."""
        if not self.sso_header or request.client is None:
            return None
        try:
            peer = ipaddress.ip_address(request.client.host)
        except ValueError:
            return None
        if not any(peer in network for network in self._networks):
            return None
        names = request.headers.getlist(self.sso_header)
        return names[0] if len(names) == 1 and role_of(self.store, names[0]) else None

    def spend_token(self, given: str) -> bool:
        """Whether it is the one-time token; it is worth nothing afterwards."""
        good = self.local and bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())
        if good:
            self.token = ""
        return good

    def enter(self, who: str) -> Response:
        """Open a session and go to the queue."""
        response = RedirectResponse("/", 303)
        cookie = open_session(self.store, who)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax", secure=self.secure, path="/")
        return response


def check_origin(request: Request) -> None:
    """Refuse a post from another site, as the browser itself declares it.

    Raises:
        HTTPException: 403.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    host = request.headers.get("host", "")
    if site not in ("same-origin", "none") or (origin and origin.split("://", 1)[-1] != host):
        raise HTTPException(403, "this form was not sent from this page")


def check_form(request: Request, session: Session, csrf: str) -> None:
    """Refuse a post without the session's own token, or by somebody who may only look.

    Raises:
        HTTPException: 403.
    """
    check_origin(request)
    if not hmac.compare_digest(csrf.encode(), session.csrf.encode()):
        raise HTTPException(403, "this form is not from your session: load the page again")
    if not session.may_decide:
        raise HTTPException(403, "your role may only look")
