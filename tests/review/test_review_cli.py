"""The command line of users and of the server's refusals; no default way in."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from holdfast.cli.review import app
from holdfast.errors import InputError
from holdfast.review import Store
from holdfast.review.users import check_password

RUN = CliRunner()


def test_users_by_command_line(tmp_path: Path) -> None:
    db = ["--store", str(tmp_path / "r.db")]
    assert json.loads(RUN.invoke(app, ["users", "list", *db, "--json"]).stdout) == []
    done = RUN.invoke(app, ["users", "add", "ana", "--role", "lead", *db], input="correct horse battery\n")
    assert done.exit_code == 0, done.output
    short = RUN.invoke(app, ["users", "add", "ben", *db], input="short\n")
    assert isinstance(short.exception, InputError)
    role = RUN.invoke(app, ["users", "add", "ben", "--role", "king", "--sso", *db])
    assert isinstance(role.exception, InputError)
    assert RUN.invoke(app, ["users", "disable", "ana", *db]).exit_code == 0
    assert json.loads(RUN.invoke(app, ["users", "list", *db, "--json"]).stdout)[0]["state"] == "disabled"
    assert not check_password(Store(tmp_path / "r.db"), "ana", "correct horse battery")


def test_local_mode_never_listens_to_the_network(tmp_path: Path) -> None:
    db = ["--store", str(tmp_path / "r.db")]
    refused = RUN.invoke(app, ["serve", "--host", "0.0.0.0", *db])
    assert isinstance(refused.exception, InputError) and "loopback" in str(refused.exception)
    header = RUN.invoke(app, ["serve", "--sso-header", "X-User", *db])
    assert isinstance(header.exception, InputError) and "proxy" in str(header.exception)


def test_nothing_to_do_says_what_could_be_done(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["decide", "--store", str(tmp_path / "r.db")])
    assert isinstance(done.exception, InputError) and "--write" in str(done.exception)
    missing = RUN.invoke(app, ["import", str(tmp_path / "none"), "--store", str(tmp_path / "r.db")])
    assert isinstance(missing.exception, InputError)
