"""Pages to look at: the queue, one item, progress."""

import threading
import time
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.responses import HTMLResponse, RedirectResponse

from holdfast import html
from holdfast.errors import InputError
from holdfast.hazards import HAZARDS
from holdfast.review import queries
from holdfast.review.alpha import agreement
from holdfast.review.choice import ACTIONS
from holdfast.review.queries import Filter, Progress
from holdfast.review.store import Store
from holdfast.review.users import Session, list_users
from holdfast.review.web import present
from holdfast.review.web.access import Access

PAGE = 50


def which(
    state: str = "open",
    kind: str = "",
    code: str = "",
    cluster: str = "",
    assignee: str = "",
    text: str = "",
) -> Filter:
    """The filter in a page's address.

    Raises:
        InputError: The cluster is not a number.
    """
    if (cluster and not cluster.isascii()) or (cluster and not cluster.isdigit()) or len(cluster) > 15:
        raise InputError("a cluster is a number")
    return Filter(state, kind, code, int(cluster or 0), assignee, text[:500])


def address(path: str, chosen: Filter, **more: Any) -> str:
    """A page's address with the filter in it."""
    values = chosen.params() | {k: str(v) for k, v in more.items() if v}
    return f"{path}?{urlencode(values)}" if values else path


class ProgressCache:
    """Counts of the whole store, at most some seconds old; counted beside the requests."""

    def __init__(self, store: Store, seconds: float = 5.0) -> None:
        self._store, self._seconds = store, seconds
        self._value: Progress | None = None
        self._at = 0.0
        self._lock = threading.Lock()

    def get(self) -> Progress:
        """The counts; the first call waits for them, later ones take what is there."""
        if self._value is None:
            with self._lock:
                return self._value or self._count()
        if time.monotonic() - self._at > self._seconds and self._lock.acquire(blocking=False):
            self._at = time.monotonic()
            threading.Thread(target=self._refresh, daemon=True).start()
        return self._value

    def _refresh(self) -> None:
        try:
            self._count()
        except Exception:  # noqa: BLE001 - the page goes on with the old counts; its own reads will say
            pass
        finally:
            self._lock.release()

    def _count(self) -> Progress:
        with self._store.read() as connection:
            self._value = queries.progress(connection)
        self._at = time.monotonic()
        return self._value


def router(store: Store, access: Access) -> APIRouter:
    """Routes that change nothing."""
    routes = APIRouter()
    counts = ProgressCache(store)

    def render(template: str, session: Session, **values: Any) -> HTMLResponse:
        shown = {"session": session, "address": address, "title": "Review", "links": access.links} | values
        return HTMLResponse(html.render("holdfast.review", template, shown))

    @routes.get("/")
    def queue(
        session: Annotated[Session, Depends(access.required)],
        chosen: Annotated[Filter, Depends(which)],
        after: Annotated[int, Query(ge=0, lt=1 << 62)] = 0,
        bulk: str = "",
    ) -> Any:
        with store.read() as connection:
            rows = queries.page(connection, chosen, after=after, size=PAGE + 1)
            matching = queries.count(connection, chosen)
            cut = queries.cut(connection, chosen)
        people = [user["name"] for user in list_users(store) if user["state"] == "active"]
        return render(
            "queue.html.j2",
            session,
            rows=rows[:PAGE],
            more=rows[PAGE - 1]["rank"] if len(rows) > PAGE else 0,
            matching=matching,
            cut=cut,
            labels=present.labels(chosen.kind),
            chosen=chosen,
            counts=counts.get(),
            people=people,
            bulk=bulk[:40],
        )

    @routes.get("/next")
    def next_item(
        session: Annotated[Session, Depends(access.required)],
        chosen: Annotated[Filter, Depends(which)],
        after: Annotated[int, Query(ge=0, lt=1 << 62)] = 0,
        done: Annotated[int, Query(ge=0, lt=1 << 62)] = 0,
    ) -> Any:
        mine = replace(chosen, without=session.who) if chosen.state == "open" else chosen
        with store.read() as connection:
            found = queries.next_id(connection, mine, after=after)
        if found is None:
            return RedirectResponse(address("/", chosen), 303)
        return RedirectResponse(address(f"/item/{found}", chosen, done=done), 303)

    @routes.get("/item/{number}")
    def item_page(
        number: int,
        session: Annotated[Session, Depends(access.required)],
        chosen: Annotated[Filter, Depends(which)],
        done: Annotated[int, Query(ge=0, lt=1 << 62)] = 0,
        reveal: str = "",
        full: str = "",
    ) -> Any:
        if not 0 < number < 1 << 62:
            raise InputError("no such item")
        with store.read() as connection:
            item = queries.one(connection, number)
            around = queries.neighbours(connection, item)
        return render(
            "item.html.j2",
            session,
            item=item,
            turns=present.turns(item["messages"], item["findings"], bool(full)),
            rejected=present.turns(item["rejected"], [], bool(full)),
            rules=present.rule_summaries([f["code"] for f in item["findings"]]),
            around=around,
            veiled=present.veiled(item) and not reveal,
            editable=present.editable(item),
            consequences=present.CONSEQUENCES,
            actions=ACTIONS,
            labels=present.labels(item["kind"]),
            label_means=present.LABEL_MEANS,
            hazards=HAZARDS,
            chosen=chosen,
            done=done,
            title=f"Item {number}",
        )

    @routes.get("/progress")
    def progress_page(session: Annotated[Session, Depends(access.required)]) -> Any:
        return render(
            "progress.html.j2",
            session,
            counts=counts.get(),
            agreed=agreement(store),
            users=list_users(store) if session.leads else [],
            title="Progress",
        )

    return routes
