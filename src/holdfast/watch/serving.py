"""`holdfast watch serve`: the gateway as a process, or as several that share one address."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from holdfast.conversation import Message
from holdfast.errors import InputError
from holdfast.files import folder_lock
from holdfast.review import Store
from holdfast.watch.gateway import Gateway
from holdfast.watch.metrics import SHARED, forget_process
from holdfast.watch.policy import WatchPolicy
from holdfast.watch.records import Drainer
from holdfast.watch.schema import prepare
from holdfast.watch.screening import Look, Screening
from holdfast.watch.spool import Spool

_LOG = logging.getLogger(__name__)
_AGAIN_S = 1.0


def serve(policy: WatchPolicy, store: str, spool: Path, host: str, port: int, workers: int = 1) -> None:
    """Serve until a signal ends it.

    Args:
        policy: What to do with whose traffic; bounds on exchanges under way are shared out.
        store: URL of the database.
        spool: Folder for records; each of several workers has its own inside.
        host: Address to listen on.
        port: Port to listen on.
        workers: Processes. One is as fast as one core allows.

    Raises:
        InputError: The address cannot be used, or another gateway owns the spool.
        RunError: The database cannot be reached.
    """
    opened = prepare(Store(store))
    with ExitStack() as held:
        held.enter_context(folder_lock(spool))
        _left_behind(opened, spool, policy, workers)
        listening = held.enter_context(_listen(host, port))
        if workers == 1:
            return _one(policy, opened, spool, listening)
        opened.close()
        _several(_shared_out(policy, workers), store, spool, listening, workers)


def _one(
    policy: WatchPolicy, store: Store, spool: Path, listening: socket.socket, *, chores: bool = True
) -> None:
    screening = Screening(policy)
    screening.look([Look((Message("user", "Hello"),), "Hello")])  # loads what is loaded when first needed
    records = Spool(spool, policy.limits.spool_bytes)
    drainer = Drainer(store, records, policy, chores=chores)
    gateway = Gateway(policy, records, screening=screening, on_stop=drainer.stop)
    drainer.start()
    quiet: dict[str, Any] = {"log_level": "warning", "access_log": False, "proxy_headers": False}
    uvicorn.Server(uvicorn.Config(gateway, lifespan="on", **quiet)).run(sockets=[listening])


def _worker(policy: WatchPolicy, store: str, spool: Path, listening: socket.socket, number: int) -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with folder_lock(spool / str(number)):
        _one(policy, prepare(Store(store)), spool / str(number), listening, chores=number == 1)


def _end_with(parent: int) -> None:
    """A worker whose parent was killed would keep the address: it ends as if told to."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _several(policy: WatchPolicy, store: str, spool: Path, listening: socket.socket, workers: int) -> None:
    """Start workers, start again those that die, end them all when told to."""
    numbers = spool / "metrics"
    shutil.rmtree(numbers, ignore_errors=True)
    numbers.mkdir()
    os.environ[SHARED] = str(numbers.resolve())  # read when a worker imports prometheus_client
    stop = threading.Event()

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    context = multiprocessing.get_context("spawn")

    def start(number: int) -> BaseProcess:
        process = context.Process(target=_worker, args=(policy, store, spool, listening, number))
        process.start()
        return process

    running = {number: start(number) for number in range(1, workers + 1)}
    while not stop.wait(0.2):
        for number, process in running.items():
            if not process.is_alive():
                forget_process(process.pid)
                _LOG.error("worker %d ended with %s; it is started again", number, process.exitcode)
                stop.wait(_AGAIN_S)
                running[number] = start(number)
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.join()


def _shared_out(policy: WatchPolicy, workers: int) -> WatchPolicy:
    """Each worker's part of what may be under way at once, and of the spool."""

    def part(whole: int) -> int:
        return -(-whole // workers)

    limits = policy.limits.model_copy(
        update={
            "max_in_flight": part(policy.limits.max_in_flight),
            "spool_bytes": part(policy.limits.spool_bytes),
        }
    )
    tenants = {
        name: tenant.model_copy(update={"max_in_flight": part(tenant.max_in_flight)})
        for name, tenant in policy.tenants.items()
    }
    return policy.model_copy(update={"limits": limits, "tenants": tenants})


def _left_behind(store: Store, spool: Path, policy: WatchPolicy, workers: int) -> None:
    """Take over what an earlier run with another number of workers left in spools nobody owns now."""
    own = {spool} if workers == 1 else {spool / str(number) for number in range(1, workers + 1)}
    for folder in (spool, *(path for path in spool.glob("[0-9]*") if path.is_dir())):
        if folder not in own and any(folder.glob("[0-9]*.jsonl")):
            left = Spool(folder, policy.limits.spool_bytes)
            Drainer(store, left, policy).drain()
            left.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))  # the server listens once it can answer
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise InputError(f"cannot listen on {host}:{port}: {reason}", fix="choose another --port") from None
    listening.set_inheritable(True)
    return listening
