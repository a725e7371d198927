"""`holdfast watch`: live traffic, logs, drift, canaries, the way back into review."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from holdfast.cli.console import out, print_json, progress
from holdfast.errors import ExitCode, InputError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Moderate and test live traffic; scan logs."
)

STORE = typer.Option(
    "review.db", "--store", envvar="HOLDFAST_STORE", help="SQLite file, or postgresql://user@host/name."
)
CONFIG = typer.Option(Path("watch.yaml"), "--config", "-c", help="The watch's configuration.")
JSON = typer.Option(False, "--json", help="Print JSON.")


@app.command()
def serve(
    config: Path = CONFIG,
    store: str = STORE,
    spool: Path = typer.Option(Path("watch-spool"), help="Folder for records on their way to the store."),
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8766, help="Port."),
    workers: int = typer.Option(1, min=1, help="Processes that share the address; one per spare core."),
) -> None:
    """Run the gateway in front of the model server that the configuration names."""
    import os

    # Before numpy is imported: a matrix of one window is too small to share between cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from holdfast.watch import load_policy
    from holdfast.watch.serving import serve as run

    policy = load_policy(config)
    out.print(f"gateway: http://{host}:{port}/v1 -> {policy.upstream}")
    run(policy, store, spool, host, port, workers)


@app.command()
def dashboard(
    store: str = STORE,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8765, help="Port."),
    local: bool = typer.Option(False, help="One person on this machine: a one-time link instead of users."),
    allowed_host: list[str] = typer.Option([], help="Host name to answer to; repeat for more."),
    sso_header: str = typer.Option("", help="Header in which a proxy names the user."),
    trusted_proxy: list[str] = typer.Option([], help="Address or network of that proxy; repeat for more."),
    secure: bool = typer.Option(False, help="Cookies only over HTTPS (behind a TLS proxy)."),
) -> None:
    """Serve the live page together with the review page."""
    from holdfast.review import Store
    from holdfast.review.web.access import Access
    from holdfast.review.web.app import LOCAL_HOSTS
    from holdfast.review.web.app import serve as run
    from holdfast.watch import prepare
    from holdfast.watch.dashboard import create_dashboard

    if local and host not in LOCAL_HOSTS:
        raise InputError("local mode listens on loopback only", fix="add users: holdfast review users add")
    opened = prepare(Store(store))
    access = Access(opened, local, sso_header, tuple(trusted_proxy), secure)
    out.print(f"pages: http://{host}:{port}/" + (f"enter?token={access.token}" if local else "watch"))
    run(create_dashboard(opened, access, hosts=frozenset(allowed_host)), host, port)


@app.command()
def scan(
    log: Path = typer.Argument(..., help="JSONL, JSON or Parquet log; see docs for the known exports."),
    config: Path = CONFIG,
    store: str = STORE,
    json_: bool = JSON,
) -> None:
    """Screen what is new in a log; exit code 1 when something asks to block."""
    from holdfast.review import Store
    from holdfast.watch import load_policy, prepare
    from holdfast.watch import scan as run

    with progress("rows", None) as count:
        done = run(log, prepare(Store(store)), load_policy(config), progress=count)
    if json_:
        print_json(asdict(done))
    else:
        verdicts = ", ".join(f"{name} {n}" for name, n in sorted(done.severities.items()))
        out.print(f"{done.rows} new rows, {done.exchanges} exchanges, {done.skipped} without one; {verdicts}")
    raise typer.Exit(int(ExitCode.FAIL if done.severities.get("block") else ExitCode.PASS))


@app.command()
def baseline(
    store: str = STORE,
    days: int = typer.Option(7, min=1, help="Days of traffic to measure."),
    json_: bool = JSON,
) -> None:
    """Measure today's rates as the baseline of the drift monitors, ready to paste into watch.yaml."""
    from holdfast.review import Store
    from holdfast.watch import prepare
    from holdfast.watch.baseline import measure

    found = measure(prepare(Store(store)), days)
    if json_:
        return print_json(found)
    out.print("drift:\n  baselines:")
    for name, value in found.items():
        out.print(f"    {name}: {{rate: {value['rate']:.6g}, n: {value['n']}}}")


@app.command()
def canary(
    evidence: Path = typer.Argument(..., help="Evidence folder of `holdfast audit`."),
    model: str = typer.Option(..., help="The served model, such as openai:NAME@http://host/v1."),
    judge: str = typer.Option("embedded", help="The audit's first judge."),
    axis: list[str] = typer.Option(["harm"], help="Axis to look at; repeat for more."),
    alpha: float = typer.Option(0.01, help="Chance that the alarm is ever false."),
    probes: int = typer.Option(200, min=1, help="Probes per run."),
    config: Path | None = typer.Option(None, "--config", "-c", help="Send alarms as configured."),
    store: str = STORE,
    json_: bool = JSON,
) -> None:
    """Ask the served model the audit's frozen probes; exit code 1 on an alarm. For a scheduler."""
    from holdfast.judges import load as load_judge
    from holdfast.models import load as load_model
    from holdfast.review import Store
    from holdfast.watch import load_policy, prepare, run_canary
    from holdfast.watch.alarms import deliver

    opened = prepare(Store(store))
    served, opinion = load_model(model), load_judge(judge)
    with progress("probes", probes) as count:
        found = run_canary(
            evidence, served, opinion, opened, axes=axis, alpha=alpha, probes=probes, progress=count
        )
    if config is not None:
        deliver(opened, load_policy(config).alarms)
    if json_:
        print_json(asdict(found))
    else:
        out.print(
            f"{found.verdict}: {found.worse} worse, {found.better} better of {found.asked}, "
            f"{found.unscored} unscored; evidence {found.evidence:.3g} (alarm at {1 / alpha:.0f})"
        )
    raise typer.Exit(int(ExitCode.FAIL if found.verdict == "alarm" else ExitCode.PASS))


@app.command()
def incidents(
    store: str = STORE,
    reviewers: int = typer.Option(1, min=1, help="How many people must agree on an incident."),
    suite: Path | None = typer.Option(None, help="Folder for the private suite of confirmed incidents."),
    json_: bool = JSON,
) -> None:
    """Send new incidents to review; with --suite, write confirmed ones as prompts and examples."""
    from holdfast.review import Store
    from holdfast.watch import confirmed_suite, prepare, send_incidents

    opened = prepare(Store(store))
    done: dict[str, object] = {"to_review": send_incidents(opened, reviewers=reviewers)}
    if suite is not None:
        made = confirmed_suite(opened, suite)
        done |= {"prompts": made.prompts, "suite": made.suite, "examples": made.examples}
    if json_:
        return print_json(done)
    out.print(", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in done.items()))


@app.command()
def due(
    name: str | None = typer.Argument(None, help="What is audited."),
    every: int | None = typer.Option(None, help="Put it on the calendar: every so many days."),
    last: str = typer.Option("", help="With --every: when it was audited last, as 2026-01-31."),
    done: bool = typer.Option(False, help="It was audited now."),
    forget: bool = typer.Option(False, help="Take it off the calendar."),
    config: Path | None = typer.Option(None, "--config", "-c", help="Send reminders as configured."),
    store: str = STORE,
    json_: bool = JSON,
) -> None:
    """The calendar of re-audits; exit code 1 when one is overdue."""
    from holdfast.review import Store
    from holdfast.watch import calendar, load_policy, prepare
    from holdfast.watch.alarms import deliver

    opened = prepare(Store(store))
    if name is not None and every is not None:
        calendar.plan(opened, name, every, last=last)
    elif name is not None and done:
        calendar.done(opened, name)
    elif name is not None and forget:
        calendar.forget(opened, name)
    calendar.remind(opened)
    if config is not None:
        deliver(opened, load_policy(config).alarms)
    found = calendar.overdue(opened)
    if json_:
        print_json(found)
    for entry in [] if json_ else found:
        mark = "  OVERDUE" if entry["overdue"] else ""
        out.print(f"{entry['name']}  due {entry['due'][:10]}, every {entry['every_days']} days{mark}")
    raise typer.Exit(int(ExitCode.FAIL if any(e["overdue"] for e in found) else ExitCode.PASS))
