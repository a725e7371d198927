"""The guarded run: data, model and policy in; a safe tuned model with evidence, or a clear no, out."""

from holdfast.pipeline.decision import RunDecision
from holdfast.pipeline.run import run
from holdfast.pipeline.ui import Silent, Ui

__all__ = ["RunDecision", "Silent", "Ui", "run"]
