"""Forms that change something: decide, undo, bulk, comment, assign."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from holdfast import html
from holdfast.errors import InputError
from holdfast.review import decisions, notes, queries
from holdfast.review.choice import LABELS, Choice
from holdfast.review.queries import Filter
from holdfast.review.store import Store
from holdfast.review.users import Session, role_of
from holdfast.review.web.access import Access, check_form
from holdfast.review.web.guard import RateLimit
from holdfast.review.web.looks import address, which

Text = Annotated[str, Form()]
Chosen = Annotated[Filter, Depends(which)]
BULK_LIMIT = 100_000


def router(store: Store, access: Access) -> APIRouter:
    """Routes that need a session that may decide, its token, and moderation in speed."""
    routes = APIRouter()
    pace = RateLimit(120, 600)

    def reviewer(request: Request, csrf: Text = "") -> Session:
        session = access.required(request)
        check_form(request, session, csrf)
        if not pace.allow(session.who):
            raise HTTPException(429, "too fast: wait a moment")
        return session

    Reviewer = Annotated[Session, Depends(reviewer)]  # noqa: N806 - a type, but local to the store

    @routes.post("/item/{number}/decide")
    def decide(
        number: int,
        session: Reviewer,
        chosen: Chosen,
        action: Text,
        seen: Text,
        label: Text = "",
        edited: Text = "",
        why: Text = "",
    ) -> Any:
        with store.read() as connection:
            item = queries.one(connection, number)
        final = session.leads and item["state"] == "disputed"
        choice = Choice(action, label, edited if action == "edit" else "", why, final)
        seq = decisions.decide(store, number, session.who, choice, seen=seen)
        return RedirectResponse(address("/next", chosen, after=item["rank"], done=seq), 303)

    @routes.post("/undo")
    def undo(session: Reviewer, chosen: Chosen, seq: Text = "0", bulk: Text = "") -> Any:
        if not seq.isdigit() or len(seq) > 15:
            raise InputError("no such decision to undo")
        back = decisions.undo(store, session.who, seq=int(seq), bulk=bulk, any_user=session.leads)
        target = f"/item/{back[0]}" if len(back) == 1 else "/"
        return RedirectResponse(address(target, chosen), 303)

    @routes.post("/item/{number}/comment")
    def comment(
        number: int, session: Reviewer, chosen: Chosen, text: Annotated[str, Form(alias="comment")] = ""
    ) -> Any:
        notes.comment(store, number, session.who, text)
        return RedirectResponse(address(f"/item/{number}", chosen), 303)

    @routes.post("/item/{number}/assign")
    def assign(number: int, session: Reviewer, chosen: Chosen, who: Text = "") -> Any:
        _may_assign(store, session, who)
        notes.assign(store, [number], who or None)
        return RedirectResponse(address(f"/item/{number}", chosen), 303)

    @routes.post("/assign")
    def assign_many(session: Reviewer, chosen: Chosen, who: Text = "", limit: Text = "50") -> Any:
        _may_assign(store, session, who)
        if not limit.isdigit() or not 0 < int(limit[:9]) <= BULK_LIMIT:
            raise InputError(f"a number from 1 to {BULK_LIMIT}")
        with store.read() as connection:
            notes.assign(store, queries.ids(connection, chosen, int(limit)), who or None)
        return RedirectResponse(address("/", chosen), 303)

    @routes.post("/bulk")
    def bulk(
        session: Reviewer,
        chosen: Chosen,
        action: Text,
        label: Text = "",
        why: Text = "",
        confirmed: Text = "",
    ) -> Any:
        if not (chosen.code or chosen.cluster):
            raise InputError("a bulk decision concerns one rule or one cluster", fix="filter the queue first")
        # Keep and drop concern rows of a screen; answers and incidents get a label.
        chosen = replace(chosen, state="open", kind=chosen.kind or "screen")
        if chosen.kind != "screen" and action != "relabel":
            raise InputError("answers and incidents are given a label", fix="filter by where they come from")
        with store.read() as connection:
            found = queries.ids(connection, chosen, BULK_LIMIT)
        if confirmed != str(len(found)):
            values = {"session": session, "chosen": chosen, "count": len(found), "action": action}
            values |= {"label": label, "why": why, "address": address, "title": "Bulk", "labels": LABELS}
            return HTMLResponse(html.render("holdfast.review", "bulk.html.j2", values))
        if not found:
            raise InputError("nothing is open here")
        done = decisions.decide_many(store, found, session.who, Choice(action, label, "", why))
        return RedirectResponse(address("/", chosen, bulk=done), 303)

    return routes


def _may_assign(store: Store, session: Session, who: str) -> None:
    if who not in ("", session.who) and not session.leads:
        raise HTTPException(403, "only a lead gives work to others")
    if who and role_of(store, who) is None:
        raise InputError(f"no such user: {who}")
