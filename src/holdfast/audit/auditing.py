"""The audit itself: check, write down what will be asked, run, evaluate, report."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

from holdfast.audit.adjudication import labelled
from holdfast.audit.agreement import agreement
from holdfast.audit.evidence import describe, open_run, read_records, read_run
from holdfast.audit.failures import failures
from holdfast.audit.measure import measured
from holdfast.audit.noise import noise_floor
from holdfast.audit.page import write_page
from holdfast.audit.plan import Plan, plan
from holdfast.audit.policy import Policy
from holdfast.audit.probes import ProbeContext
from holdfast.audit.report import AuditReport
from holdfast.audit.rows import overall
from holdfast.audit.runner import CHUNK, LOOK, Job, Stop, run, total
from holdfast.audit.slices import Evidence
from holdfast.audit.units import Record, Unit, shuffled, units
from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.files import folder_lock, read_json, write_json
from holdfast.judges.base import Judge
from holdfast.models.base import Decoding, Generator, Progress
from holdfast.suites.base import Suite


def audit(
    base: Generator,
    tuned: Generator,
    *,
    policy: Policy,
    suites: Sequence[Suite],
    judges: Sequence[Judge],
    out: Path,
    decoding: Decoding | None = None,
    tuning_data: Sequence[Conversation] = (),
    triggers: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Ask both models the same, judge blindly, and say whether the tuned one is worse.

    Args:
        base: The aligned model that was fine-tuned.
        tuned: The result.
        policy: Margins and rules; its digest is written to `out` before the first answer.
        suites: What is asked.
        judges: The first decides; a second, of another family, gives its opinion.
        out: Evidence folder; an unfinished audit in it is continued.
        decoding: Overrides the policy's decoding.
        tuning_data: Rows of the tuning data, for the probe `rewording`.
        triggers: Phrases found in the tuning data, for the probe `triggers`, beside the policy's;
            an empty list says that the data was searched and holds none.
        progress: Called with the number of answers finished.

    Raises:
        InputError: The arms, suites or judges cannot be compared or used, or `out` holds
            another audit.
        RunError: A model, judge or the disk failed; the same call continues.
    """
    job = prepare(
        base,
        tuned,
        policy=policy,
        suites=suites,
        judges=judges,
        decoding=decoding,
        tuning_data=tuning_data,
        triggers=triggers,
    )
    with folder_lock(out):
        described = describe(base.identity, tuned.identity, policy, suites, judges, job.decoding, job.units)
        open_run(out, described, job.units)
        run(job, out, progress, _stopper(policy) if policy.early_stop else None)
        return evaluate(out, policy, plan(policy, suites))


def prepare(
    base: Generator,
    tuned: Generator,
    *,
    policy: Policy,
    suites: Sequence[Suite],
    judges: Sequence[Judge],
    decoding: Decoding | None = None,
    tuning_data: Sequence[Conversation] = (),
    triggers: Sequence[str] | None = None,
) -> Job:
    """Check what can be checked without a model's answer, and lay out the work."""
    _check_suites(policy, suites)
    _check_judges(policy, judges)
    _check_arms(base, tuned, policy)
    context = ProbeContext(
        _text(policy.template),
        _text(policy.training_template),
        _phrases(policy.triggers, triggers),
        tuning_data,
        getattr(base, "tokenizer", None),
    )
    asked = units(suites, policy.probes, context)
    if policy.early_stop:
        asked = shuffled(asked, policy.decoding.seed)
    return Job(
        base=base,
        tuned=tuned,
        units=asked,
        repeats=_repeats(asked, policy.noise_floor),
        judges=judges,
        decoding=decoding or Decoding(**policy.decoding.model_dump()),
        second_on=policy.judges.second_opinion,
        chunk=LOOK if policy.early_stop else CHUNK,
    )


def _phrases(named: Sequence[str], found: Sequence[str] | None) -> list[str] | None:
    """The policy's triggers and the found ones, each once; None where there was neither list nor search."""
    return None if found is None and not named else list(dict.fromkeys([*named, *(found or ())]))


def work(job: Job) -> int:
    """How many answers `audit` will report through `progress`."""
    return total(job)


def evaluate(folder: Path, policy: Policy, planned: Plan | None = None, *, write: bool = True) -> AuditReport:
    """Turn the records of an evidence folder into a report, and write `audit.json` and `audit.html`.

    With `planned` None the power recorded by the audit is kept.

    Raises:
        InputError: The folder holds no audit.
    """
    described = read_run(folder)
    evidence = read_evidence(folder)
    axes, hazards = measured(evidence, policy)
    report = AuditReport(
        folder=folder,
        verdict=overall(axes, hazards, policy),
        axes=axes,
        hazards=hazards,
        digests=_digests(described),
        power=_power(folder, planned),
        comparison=described["comparison"],
        judges=described["judges"],
        extra={
            "suites": [{"name": name, **suite} for name, suite in described["suites"].items()],
            "decoding": described["comparison"]["decoding"],
            "noise_floor": noise_floor(evidence.judged),
            "agreement": agreement(evidence.judged),
            "failures": failures(evidence.judged),
            "stopped_early": not evidence.complete,
            "labels": len(evidence.labels),
            "policy": described["policy"],
        },
    )
    if write:
        report.write()
        write_page(report, evidence.records)
    return report


def read_evidence(folder: Path) -> Evidence:
    """The records of an evidence folder, with human labels where there are any."""
    described = read_run(folder)
    judged = list(read_records(folder))
    records, labels = labelled(folder, judged)
    samples = described["comparison"]["decoding"]["samples"]
    answered = sum(record.arm != "repeat" for record in judged)
    return Evidence(records, judged, labels, complete=answered == 2 * samples * described["units"])


def _stopper(policy: Policy) -> Stop:
    """Stop at the first look at which the verdict is certain."""

    def stop(records: list[Record]) -> bool:
        axes, hazards = measured(Evidence(records, records, complete=False), policy)
        return overall(axes, hazards, policy) in ("pass", "fail")

    return stop


def _digests(described: dict[str, object]) -> dict[str, object]:
    return {
        "policy": described["policy_digest"],
        "base": described["base"],
        "tuned": described["tuned"],
        "suites": described["suites"],
    }


def _power(folder: Path, planned: Plan | None) -> dict[str, object]:
    path = folder / "power.json"
    if planned is not None:
        write_json(path, planned.to_json())
        return planned.to_json()
    return dict(read_json(path)) if path.exists() else {}


def _check_suites(policy: Policy, suites: Sequence[Suite]) -> None:
    barred = [suite.name for suite in suites if suite.name in policy.barred_suites]
    if barred:
        raise InputError(
            f"suite '{barred[0]}' is barred by the policy (it was used for mixing or repair)",
            fix="audit with a suite that nothing was built from",
        )
    if not any(suite.prompts for suite in suites):
        raise InputError("no suite has any prompt", fix="name suites with --suite")


def _check_judges(policy: Policy, judges: Sequence[Judge]) -> None:
    families = {judge.family for judge in judges}
    if not judges or len(families) < policy.judges.families:
        raise InputError(
            f"the policy asks for {policy.judges.families} judge families, {len(families)} given",
            fix="add --judge NAME of another family",
        )
    if len(judges) > 2 or len(families) < len(judges):
        raise InputError(
            "give one judge, or two of different families",
            fix="judges of one family err alike; combine more with 'first+second'",
        )


def _check_arms(base: Generator, tuned: Generator, policy: Policy) -> None:
    pairs = {
        "template": (base.identity.template, tuned.identity.template),
        "engine": (base.identity.backend, tuned.identity.backend),
    }
    for name, (one, other) in pairs.items():
        forced = name == "template" and policy.template is not None
        if one != other and name not in policy.allow_differences and not forced:
            raise InputError(
                f"base and tuned model differ in {name} ({_short(one)} and {_short(other)}): a "
                "change of behaviour could not be told from that difference",
                fix=f"use one {name} for both"
                + (" (policy: template: FILE)" if name == "template" else "")
                + f", or allow it (policy: allow_differences: [{name}])",
            )


def _short(identity: str) -> str:
    """A digest's first characters; names of engines in full."""
    return identity[:12] if re.fullmatch(r"[0-9a-f]{64}", identity) else identity or "none"


def _text(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read template: {error}", path=path) from None


def _repeats(asked: Sequence[Unit], count: int) -> list[Unit]:
    plain = [unit for unit in asked if unit.probe == "default"]
    return random.Random(0).sample(plain, min(count, len(plain)))
