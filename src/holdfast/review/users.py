"""People: roles, passwords (argon2), sessions. No default password; a session is a random cookie."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from holdfast.errors import InputError, missing_extra
from holdfast.review.schema import sessions, users
from holdfast.review.store import Store, now
from holdfast.review.texts import clean

if TYPE_CHECKING:
    from argon2 import PasswordHasher

ROLES = ("viewer", "reviewer", "lead")
MIN_PASSWORD = 12
_MAX_PASSWORD = 1024  # hashing a longer one would only burn time
LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Session:
    """Who is using the page, with the token that their forms must carry."""

    who: str
    role: str
    csrf: str

    @property
    def may_decide(self) -> bool:
        """Reviewers and leads."""
        return self.role in ("reviewer", "lead")

    @property
    def leads(self) -> bool:
        """Leads settle disputes, undo anybody's decision and hand out work."""
        return self.role == "lead"


def add_user(store: Store, name: str, role: str, password: str | None = None) -> None:
    """Add a person, or change the role and password of one who is there.

    Args:
        store: The store.
        name: Shown in every decision.
        role: `viewer`, `reviewer` or `lead`.
        password: At least 12 characters; None for people who come through single sign-on.

    Raises:
        InputError: Bad name, unknown role, or a password that is too short.
    """
    name = str(clean(name)).strip()
    if not name or len(name) > 100:
        raise InputError("a name has 1 to 100 characters")
    if role not in ROLES:
        raise InputError(f"unknown role '{role}'", fix=f"one of {', '.join(ROLES)}")
    if password is not None and not MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
        raise InputError(f"the password needs {MIN_PASSWORD} to {_MAX_PASSWORD} characters")
    values = {"role": role, "password": None if password is None else _hasher().hash(password), "disabled": 0}
    with store.write() as connection:
        if connection.execute(update(users).where(users.c.name == name).values(**values)).rowcount == 0:
            connection.execute(insert(users).values(name=name, at=now(), **values))
        connection.execute(delete(sessions).where(sessions.c.who == name))


def disable_user(store: Store, name: str) -> None:
    """Shut a person out; their decisions stay.

    Raises:
        InputError: Nobody has that name.
    """
    with store.write() as connection:
        if connection.execute(update(users).where(users.c.name == name).values(disabled=1)).rowcount == 0:
            raise InputError(f"no such user: {name}")
        connection.execute(delete(sessions).where(sessions.c.who == name))


def list_users(store: Store) -> list[dict[str, str]]:
    """Everybody, with role and state."""
    with store.read() as connection:
        rows = connection.execute(select(users).order_by(users.c.name)).all()
    return [
        {"name": r.name, "role": r.role, "state": "disabled" if r.disabled else "active", "since": r.at}
        for r in rows
    ]


def check_password(store: Store, name: str, password: str) -> bool:
    """Whether the password is right; takes as long for names that do not exist."""
    from argon2.exceptions import VerificationError

    with store.read() as connection:
        row = connection.execute(
            select(users.c.password).where(users.c.name == clean(name), users.c.disabled == 0)
        ).one_or_none()
    known = row.password if row is not None and row.password else _decoy()
    try:
        _hasher().verify(known, password[:_MAX_PASSWORD])
    except VerificationError:
        return False
    return row is not None and bool(row.password)


def role_of(store: Store, name: str) -> str | None:
    """The role of an active user, or None."""
    with store.read() as connection:
        return connection.execute(
            select(users.c.role).where(users.c.name == clean(name), users.c.disabled == 0)
        ).scalar()


def open_session(store: Store, who: str) -> str:
    """Start a session and return the cookie's value, which is not stored."""
    token = secrets.token_urlsafe(32)
    expires = (datetime.now(UTC) + LIFETIME).isoformat(timespec="microseconds")
    with store.write() as connection:
        connection.execute(delete(sessions).where(sessions.c.expires < now()))
        values = {"token": _digest(token), "who": who, "csrf": secrets.token_urlsafe(32)}
        connection.execute(insert(sessions).values(**values, expires=expires))
    return token


def find_session(store: Store, token: str) -> Session | None:
    """The session of a cookie; None if it is unknown, over, or the user was shut out."""
    query = select(sessions.c.who, users.c.role, sessions.c.csrf).join(users)
    query = query.where(sessions.c.token == _digest(token), sessions.c.expires >= now())
    with store.read() as connection:
        row = connection.execute(query.where(users.c.disabled == 0)).one_or_none()
    return None if row is None else Session(row.who, row.role, row.csrf)


def close_session(store: Store, token: str) -> None:
    """End a session."""
    with store.write() as connection:
        connection.execute(delete(sessions).where(sessions.c.token == _digest(token)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@lru_cache
def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise missing_extra("server", "argon2-cffi") from None
    return PasswordHasher()


@lru_cache
def _decoy() -> str:
    return _hasher().hash(secrets.token_hex(16))
