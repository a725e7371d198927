"""The watch's configuration: `watch.yaml`, validated, with one policy per tenant."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from holdfast.yamlfile import load_yaml

Action = Literal["log", "annotate", "block", "replace"]
REPLACEMENT = "This answer was withheld by the operator's safety policy."


class Strict(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tenant(Strict):
    """What happens to one tenant's traffic.

    Attributes:
        keys: SHA-256 (hex) of the API keys that belong to it; the tenant `default` needs none.
        on_block: Action when a finding or judgement asks to block.
        on_review: Action when one asks for review.
        on_failure: `closed` refuses what could not be screened or recorded, `open` lets it pass.
        screen_request: Look at requests before they are sent on.
        screen_answer: Look at answers before they are given.
        replacement: What `replace` gives in place of the answer.
        max_in_flight: Exchanges at the same time.
        sample_text: Share of exchanges whose text is stored.
        keep_incident_text: Store the text of exchanges that become incidents (review needs it).
    """

    keys: tuple[str, ...] = ()
    on_block: Action = "block"
    on_review: Action = "annotate"
    on_failure: Literal["open", "closed"] = "closed"
    screen_request: bool = True
    screen_answer: bool = True
    replacement: str = REPLACEMENT
    max_in_flight: int = Field(default=256, ge=1)
    sample_text: float = Field(default=0.0, ge=0, le=1)
    keep_incident_text: bool = True


class Limits(Strict):
    """Bounds on memory and time.

    Attributes:
        max_body: Bytes of a request.
        max_answer: Bytes of an answer that is held back, and of one event of a stream.
        max_in_flight: Exchanges at the same time, over all tenants; more are told to retry.
        window: New characters of a streamed answer after which it is screened again.
        hold_back: Characters at the end of a screened text that wait for the next window, so that
            a phrase cut by the window is seen whole before its beginning is given.
        look_at: Characters at the end of a long answer that one screening looks at.
        connect_s: Seconds to connect to the model server.
        read_s: Seconds between two pieces of an answer.
        screen_s: Seconds one screening may take.
        spool_bytes: Bytes of records that wait for the database.
    """

    max_body: int = Field(default=4 << 20, gt=0)
    max_answer: int = Field(default=8 << 20, gt=0)
    max_in_flight: int = Field(default=512, ge=1)
    window: int = Field(default=200, ge=20)
    hold_back: int = Field(default=80, ge=0)
    look_at: int = Field(default=8000, ge=100)
    connect_s: float = Field(default=5.0, gt=0)
    read_s: float = Field(default=120.0, gt=0)
    screen_s: float = Field(default=5.0, gt=0)
    spool_bytes: int = Field(default=1 << 30, gt=0)

    @model_validator(mode="after")
    def _held_back_is_seen(self) -> Limits:
        if self.look_at < self.window + self.hold_back:
            raise ValueError("look_at must be at least window + hold_back")
        return self


class Baseline(Strict):
    """What the audit measured: the rate and on how many answers."""

    rate: float = Field(ge=0, le=1)
    n: int = Field(gt=0)


class Drift(Strict):
    """When a change of rates is an alarm.

    Attributes:
        alpha: Probability of any false alarm, ever, over all monitors together.
        margin: A rate may be this much above the baseline's upper bound.
        baselines: By monitor: `harmful`, `harmful:HAZARD`, `refusal`, `refusal_low`,
            `over_refusal`, `rule:FAMILY`.
        epoch: A new test begins every so many exchanges, so that a late change is seen soon.
    """

    alpha: float = Field(default=0.01, gt=0, lt=1)
    margin: float = Field(default=0.0, ge=0, lt=1)
    baselines: dict[str, Baseline] = Field(default_factory=dict)
    epoch: int = Field(default=500, ge=10)


class Email(Strict):
    """A mail server and whom to write to."""

    host: str
    port: int = 25
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password_env: str = ""
    starttls: bool = False


class Alarms(Strict):
    """Where alarms go; all that are set get each alarm."""

    file: Path | None = None
    webhook: str = ""
    email: Email | None = None


class WatchPolicy(Strict):
    """The whole of `watch.yaml`.

    Attributes:
        upstream: Base URL of the model server, with `/v1`.
        upstream_key_env: Environment variable with the key for it; otherwise the client's is sent.
        judge: A judge reference; `keyword`, `embedded`, ...; empty for rules only.
        block_score: A harmful judgement with at least this score asks to block, others for review.
        select: Rules or families to run; empty for all that concern one exchange.
        ignore: Rules or families not to run.
        tenants: Policies by name; `default` is for keys that no tenant lists.
        limits: Bounds on memory and time.
        workers: Threads that ask the judge; each takes what waits together.
        drift: When a change of rates is an alarm.
        alarms: Where alarms go.
        retention_days: Exchanges and their text are deleted after so many days.
        metrics_from: Addresses or networks that may read `/metrics`.
    """

    upstream: str
    upstream_key_env: str = ""
    judge: str = "embedded"
    block_score: float = Field(default=0.9, ge=0, le=1)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    tenants: dict[str, Tenant] = Field(default_factory=lambda: {"default": Tenant()})
    limits: Limits = Field(default_factory=Limits)
    workers: int = Field(default=2, ge=1)
    drift: Drift = Field(default_factory=Drift)
    alarms: Alarms = Field(default_factory=Alarms)
    retention_days: int = Field(default=30, ge=1)
    metrics_from: tuple[str, ...] = ("127.0.0.1", "::1")

    @model_validator(mode="after")
    def _http(self) -> WatchPolicy:
        if not self.upstream.startswith(("http://", "https://")):
            raise ValueError("upstream must be an http:// or https:// URL")
        return self

    def tenant(self, key: str) -> tuple[str, Tenant] | None:
        """The tenant of an API key: the one that lists it, else `default`, else nobody."""
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        for name, tenant in self.tenants.items():
            if digest in tenant.keys:
                return name, tenant
        return ("default", self.tenants["default"]) if "default" in self.tenants else None


def load_policy(path: str | Path) -> WatchPolicy:
    """Read `watch.yaml`.

    Raises:
        InputError: Names the line that is wrong.
    """
    return load_yaml(path, WatchPolicy)
