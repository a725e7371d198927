"""Alarms: written with what raised them, then delivered to file, webhook and mail until they arrive."""

from __future__ import annotations

import http.client
import json
import os
import smtplib
import urllib.request
from collections.abc import Sequence
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from holdfast.errors import HoldfastError
from holdfast.files import JsonLines, to_json
from holdfast.review.store import Store
from holdfast.review.texts import ascii_json
from holdfast.watch.policy import Alarms, Email
from holdfast.watch.schema import alarms

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TIMEOUT = 5.0
_BATCH = 50


def raise_alarm(
    connection: Connection, kind: str, name: str, text: str, detail: dict[str, Any], at: str
) -> None:
    """Write an alarm in the transaction of what raised it. `text` never holds user text."""
    number = (connection.execute(select(func.max(alarms.c.id))).scalar() or 0) + 1
    values = {"id": number, "at": at, "kind": kind, "name": name, "text": text, "sent": 0}
    connection.execute(insert(alarms).values(**values, detail=ascii_json(detail)))


def deliver(store: Store, sinks: Alarms) -> int:
    """Send alarms that did not arrive everywhere yet; returns how many are done.

    A sink that fails is tried again at the next call; the others may then get the alarm twice,
    never not at all.
    """
    if not (sinks.file or sinks.webhook or sinks.email):
        return 0
    query = select(alarms).where(alarms.c.sent == 0).order_by(alarms.c.id).limit(_BATCH)
    with store.read() as connection:
        waiting = [dict(row) for row in connection.execute(query).mappings()]
    done = [alarm["id"] for alarm in waiting if _send(alarm, sinks)]
    if done:
        with store.write() as connection:
            connection.execute(update(alarms).where(alarms.c.id.in_(done)).values(sent=1))
    return len(done)


def _send(alarm: dict[str, Any], sinks: Alarms) -> bool:
    message = {key: alarm[key] for key in ("id", "at", "kind", "name", "text")}
    message["detail"] = json.loads(alarm["detail"])
    arrived: Sequence[bool] = [
        sinks.file is None or _to_file(message, sinks),
        not sinks.webhook or _to_webhook(message, sinks.webhook),
        sinks.email is None or _to_email(message, sinks.email),
    ]
    return all(arrived)


def _to_file(message: dict[str, Any], sinks: Alarms) -> bool:
    assert sinks.file is not None
    try:
        with JsonLines(sinks.file) as log:
            log.append(message)
    except HoldfastError:
        return False
    return True


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alarm goes where the policy says and nowhere else."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def _to_webhook(message: dict[str, Any], url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    request = urllib.request.Request(url, to_json(message), {"content-type": "application/json"})
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return bool(200 <= answer.status < 300)
    except (OSError, http.client.HTTPException):
        return False


def _to_email(message: dict[str, Any], to: Email) -> bool:
    mail = EmailMessage()
    mail["Subject"] = f"Holdfast alarm: {message['kind']} {message['name']}".replace("\n", " ")
    mail["From"], mail["To"] = to.sender, ", ".join(to.to)
    mail.set_content(f"{message['at']}\n{message['text']}\n\n{json.dumps(message['detail'], indent=2)}\n")
    try:
        with smtplib.SMTP(to.host, to.port, timeout=_TIMEOUT) as server:
            if to.starttls:
                server.starttls()
            if to.user:
                server.login(to.user, os.environ.get(to.password_env, ""))
            server.send_message(mail)
    except (OSError, smtplib.SMTPException):
        return False
    return True
