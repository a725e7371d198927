"""Audit: compare base and tuned model, paired, with intervals and a three-way verdict."""

from __future__ import annotations

from holdfast.audit.auditing import audit, evaluate, prepare, work
from holdfast.audit.plan import Plan, plan
from holdfast.audit.policy import Policy, load_policy, policy_schema
from holdfast.audit.report import AuditReport, load_report
from holdfast.audit.rows import Row
from holdfast.rooms import callable_room

__all__ = [
    "AuditReport",
    "Plan",
    "Policy",
    "Row",
    "audit",
    "evaluate",
    "load_policy",
    "load_report",
    "plan",
    "policy_schema",
    "prepare",
    "work",
]

callable_room(__name__, "audit")
