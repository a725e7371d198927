"""The store: one SQL database (SQLite file by default, PostgreSQL by URL), migrated on opening."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, InputError, RunError, missing_extra

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class Store:
    """A connection pool on the database; `read` and `write` give connections.

    Args:
        url: A file name (SQLite) or an SQLAlchemy URL (`postgresql://user@host/name`).

    Raises:
        InputError: The URL cannot be used, or the database is newer than this package.
        RunError: The database cannot be reached.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = _full_url(str(url))
        self.engine = _engine(self.url)
        with self.write() as connection:
            migrate(connection, "holdfast.review:migrations", "review_version")

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state."""
        with _faults(self.url), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: all of it is kept, or nothing. Writers of SQLite wait for each other."""
        with _faults(self.url):
            options = {"holdfast_write": True}
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()


def migrate(connection: Connection, script: str, version_table: str) -> None:
    """Bring the tables of one room to this package's schema version.

    Args:
        connection: Inside a write transaction.
        script: Alembic script location (`package:folder`).
        version_table: Where that room's version is kept.

    Raises:
        InputError: The database was written by a newer Holdfast.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", script)
    config.attributes.update(connection=connection, version_table=version_table)
    scripts = ScriptDirectory.from_config(config)
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    current = context.get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {s.revision for s in scripts.walk_revisions()}:
        raise InputError(
            f"the store has schema version '{current}', which this version of Holdfast does not know",
            path=str(connection.engine.url.render_as_string(hide_password=True)),
            fix="upgrade holdfast",
        )
    command.upgrade(config, "head")


def now() -> str:
    """The present time as ISO 8601 text in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _full_url(url: str) -> str:
    if "://" not in url:
        path = Path(url)
        if path.is_dir():
            raise InputError("is a folder, not a store", path=path, fix=f"name a file: {path}/review.db")
        path.parent.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{path}"
    if url.startswith(("postgresql://", "postgres://")):
        return "postgresql+psycopg://" + url.split("://", 1)[1]
    return url


def _engine(url: str) -> Engine:
    try:
        from sqlalchemy import create_engine, event
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    except ImportError:
        raise missing_extra("server", "sqlalchemy") from None
    try:
        backend = make_url(url).get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise InputError(f"'{backend}' is not supported", fix="use SQLite or PostgreSQL")
        options: dict[str, Any] = {"pool_size": 10, "max_overflow": 20, "pool_timeout": 10}
        if backend == "postgresql":
            options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}
        engine = create_engine(url, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(
            f"not a database URL: {error}", fix="a file name or postgresql://user@host/name"
        ) from None
    except ModuleNotFoundError as error:
        raise missing_extra("server", error.name or "psycopg") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late for a write lock
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "cache_size=-32000",
        "mmap_size=268435456",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Any) -> None:
    write = connection.get_execution_options().get("holdfast_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextlib.contextmanager
def _faults(url: str) -> Iterator[None]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    shown = make_url(url).render_as_string(hide_password=True)
    try:
        yield
    except HoldfastError:
        raise
    except (OperationalError, PoolTimeout) as error:
        reason = str(getattr(error, "orig", error) or error).strip().splitlines()[0]
        raise RunError(
            f"the store cannot be used: {reason}", path=shown, fix="check that it is up, then try again"
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise RunError("the store went away", path=shown, fix="try again when it is up") from error
        if type(error) is DatabaseError:
            raise InputError(f"not a store: {error.orig}", path=shown, fix="name another file") from error
        raise
