"""`holdfast review`: doubtful rows decided by people."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path

import typer

from holdfast.cli.console import out, print_json
from holdfast.errors import ExitCode, InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Decide the doubtful rows: web page, CSV round trip, audit trail.",
)
users_app = typer.Typer(no_args_is_help=True, help="People who may use the page.")
app.add_typer(users_app, name="users")

STORE = typer.Option(
    "review.db", "--store", envvar="HOLDFAST_STORE", help="SQLite file, or postgresql://user@host/name."
)
JSON = typer.Option(False, "--json", help="Print JSON.")


@app.command("import")
def import_(
    source: Path = typer.Argument(
        ..., help="Output folder of `holdfast screen`, adjudication file of `holdfast audit`."
    ),
    store: str = STORE,
    name: str = typer.Option("", help="Name shown to reviewers."),
    reviewers: int = typer.Option(1, min=1, help="How many people must agree on an item."),
    json_: bool = JSON,
) -> None:
    """Take the rows to be decided into the store; importing the same again adds nothing."""
    from holdfast.review import Store, import_file

    done = import_file(source, Store(store), name=name, reviewers=reviewers)
    if json_:
        return print_json(asdict(done))
    known = f" ({done.known} were there already)" if done.known else ""
    out.print(f"{done.added} items added{known}. Decide them with: holdfast review serve --store {store}")


@app.command()
def decide(
    item: int | None = typer.Argument(None, help="Item number."),
    action: str | None = typer.Argument(None, help="keep, drop, edit or relabel."),
    store: str = STORE,
    label: str = typer.Option("", help="What the item is (safe, harmful, refusal, ...)."),
    why: str = typer.Option("", help="The reason."),
    row: Path | None = typer.Option(None, help="For edit: file with the new row, one JSON object."),
    write: Path | None = typer.Option(None, help="Write the open items as a CSV to fill in."),
    read: Path | None = typer.Option(None, help="Read a filled-in CSV back."),
    code: str = typer.Option("", help="With --write: only items of this rule."),
    who: str = typer.Option("", help="Reviewer; the login name by default."),
    json_: bool = JSON,
) -> None:
    """Decide without a server: one item, or a CSV written and read back."""
    from holdfast import review

    opened = review.Store(store)
    who = who or getpass.getuser()
    if write is not None:
        done = {"written": review.write_sheet(opened, write, review.Filter(code=code))}
    elif read is not None:
        done = {"decided": review.read_sheet(opened, read, who)}
    elif item is not None and action is not None:
        edited = row.read_text(encoding="utf-8") if row else ""
        done = {"seq": review.decide(opened, item, who, review.Choice(action, label, edited, why))}
    else:
        raise InputError("nothing to do", fix="give ITEM and ACTION, or --write FILE, or --read FILE")
    if json_:
        return print_json(done)
    out.print(", ".join(f"{key}: {value}" for key, value in done.items()))


@app.command()
def export(
    folder: Path = typer.Argument(..., help="Folder to write clean.jsonl, labels.jsonl, trail.jsonl to."),
    store: str = STORE,
    adjudication: Path | None = typer.Option(
        None, help="The CSV of an audit; it is written with its labels filled in."
    ),
    json_: bool = JSON,
) -> None:
    """Write the kept rows, the labels and the audit trail."""
    from holdfast.review import Store, write_labels
    from holdfast.review import export as write

    opened = Store(store)
    summary = write(opened, folder)
    if adjudication is not None:
        summary["adjudicated"] = write_labels(opened, adjudication, folder / adjudication.name)
    if json_:
        return print_json(summary)
    out.print(
        f"{summary['clean']} rows, {summary['labels']} labels, {summary['decisions']} decisions in {folder}; "
        f"head {summary['head']}"
    )


@app.command()
def apply(
    review_file: Path = typer.Argument(..., help="The screen's review file."),
    target: Path = typer.Option(..., "--out", help="File to write."),
    decisions: Path | None = typer.Option(None, help="CSV with `key` and `decision`, instead of the store."),
    clean: Path | None = typer.Option(None, help="The screen's clean file, written first."),
    store: str = STORE,
    json_: bool = JSON,
) -> None:
    """Write the rows that people decided to keep, after the clean ones; the rest stays out."""
    from holdfast import review

    done = review.apply(review_file, decisions or review.Store(store), target, clean=clean)
    if json_:
        return print_json(asdict(done))
    out.print(", ".join(f"{key} {value}" for key, value in asdict(done).items()))


@app.command()
def verify(
    store: str = STORE,
    head: str | None = typer.Option(None, help="A head noted earlier that must still be in the chain."),
    json_: bool = JSON,
) -> None:
    """Check the hash chain of all decisions; exit code 1 when something was tampered with."""
    from holdfast.review import Store
    from holdfast.review import verify as check

    found = check(Store(store), head=head)
    if json_:
        print_json(asdict(found) | {"ok": found.ok})
    else:
        for problem in found.problems:
            out.print(problem)
        state = "intact" if found.ok else "NOT intact"
        out.print(f"{found.decisions} decisions, chain {state}, head {found.head}")
    raise typer.Exit(int(ExitCode.PASS if found.ok else ExitCode.FAIL))


@app.command()
def serve(
    store: str = STORE,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8765, help="Port."),
    local: bool = typer.Option(False, help="One person on this machine: a one-time link instead of users."),
    allowed_host: list[str] = typer.Option([], help="Host name to answer to; repeat for more."),
    sso_header: str = typer.Option("", help="Header in which a proxy names the user."),
    trusted_proxy: list[str] = typer.Option([], help="Address or network of that proxy; repeat for more."),
    secure: bool = typer.Option(False, help="Cookies only over HTTPS (behind a TLS proxy)."),
) -> None:
    """Serve the review page. Without users it starts in local mode on loopback."""
    from holdfast.review import Store
    from holdfast.review.users import list_users
    from holdfast.review.web.access import Access
    from holdfast.review.web.app import LOCAL_HOSTS, create_app
    from holdfast.review.web.app import serve as run

    opened = Store(store)
    people = [user for user in list_users(opened) if user["name"] != "local"]
    local = local or (not people and not sso_header)
    if local and host not in LOCAL_HOSTS:
        raise InputError(
            f"local mode listens on loopback only, not on {host}",
            fix="add users first: holdfast review users add NAME --role lead",
        )
    access = Access(opened, local, sso_header, tuple(trusted_proxy), secure)
    link = f"http://{host}:{port}/" + (f"enter?token={access.token}" if local else "")
    out.print(f"review page: {link}")
    run(create_app(opened, access, hosts=frozenset(allowed_host)), host, port)


@users_app.command("add")
def add(
    name: str = typer.Argument(..., help="Name, shown in every decision."),
    role: str = typer.Option("reviewer", help="viewer, reviewer or lead."),
    sso: bool = typer.Option(False, help="No password: comes through single sign-on."),
    store: str = STORE,
) -> None:
    """Add a person, or change role and password; the password is asked for, or read from a pipe."""
    import sys

    from holdfast.review import Store
    from holdfast.review.users import add_user

    password = None
    if not sso:
        if sys.stdin.isatty():
            password = getpass.getpass(f"password for {name}: ")
            if password != getpass.getpass("again: "):
                raise InputError("the two passwords differ")
        else:
            password = sys.stdin.readline().rstrip("\r\n")
    add_user(Store(store), name, role, password)
    out.print(f"{name} is a {role}")


@users_app.command("disable")
def disable(name: str = typer.Argument(...), store: str = STORE) -> None:
    """Shut a person out; their decisions stay."""
    from holdfast.review import Store
    from holdfast.review.users import disable_user

    disable_user(Store(store), name)
    out.print(f"{name} is shut out")


@users_app.command("list")
def list_(store: str = STORE, json_: bool = JSON) -> None:
    """List people and roles."""
    from holdfast.review import Store
    from holdfast.review.users import list_users

    found = list_users(Store(store))
    if json_:
        return print_json(found)
    for user in found:
        out.print(f"{user['name']}  {user['role']}  {user['state']}")
