"""The mixin that lets guards act inside any `transformers.Trainer`, and its callback.

class MyTrainer(GuardMixin, SFTTrainer): ...
trainer = MyTrainer(...)
attach(trainer, [guard, ...], GuardContext(...))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from holdfast.errors import InputError, RunError
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.store import checkpoint_folder, load_tensors, save_tensors

STATE_FILE = "guards.safetensors"


class GuardMixin:
    """Put in front of a trainer class; does nothing until guards are attached.

    Attributes:
        guards: The attached guards.
        rolled_back: Whether the probe put the last good weights back, which are then the result.
    """

    guards: Sequence[Guard] = ()
    rolled_back = False
    _guard_micro = 0

    def _guard_step(self, num_items: Any = None) -> Step:
        state, args = self.state, self.args  # type: ignore[attr-defined]
        # The base class divides by the accumulation steps itself unless the loss is a sum
        # over `num_items_in_batch`; then a mean term must be divided here.
        steps = getattr(self, "current_gradient_accumulation_steps", args.gradient_accumulation_steps)
        share = 1.0 / steps if self._loss_is_sum(num_items) else 1.0
        micro = state.global_step * args.gradient_accumulation_steps + self._guard_micro
        return Step(micro=micro, share=share, global_step=state.global_step)

    def _loss_is_sum(self, num_items: Any) -> bool:
        declared = getattr(self, "loss_is_scaled_for_ga", None)
        if declared is not None:
            return bool(declared)
        accepts = bool(getattr(self, "model_accepts_loss_kwargs", False))
        return (accepts and num_items is not None) or getattr(self, "compute_loss_func", None) is not None

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The trainer's loss (or the guard's that replaces it) plus every guard's term."""
        own = super().compute_loss  # type: ignore[misc]
        if not self.guards or not model.training:
            return own(model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch)
        main = next((guard for guard in self.guards if guard.replaces_loss), None)
        outputs = None
        if main is not None:
            loss, outputs = main.main_loss(self, model, inputs, num_items_in_batch)
        elif return_outputs:
            loss, outputs = own(model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch)
        else:
            loss = own(model, inputs, num_items_in_batch=num_items_in_batch)
        step = self._guard_step(num_items_in_batch)
        for guard in self.guards:
            term = guard.loss(self, model, step)
            if term is not None:
                loss = loss + term.to(loss.dtype) * step.share
        return (loss, outputs) if return_outputs else loss

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """One micro-batch; after the last of a step the guards may change the gradients."""
        loss = super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]
        step = self._guard_step(num_items_in_batch)
        if not torch.isfinite(loss):
            raise RunError(
                f"the loss is {float(loss)} at step {step.global_step}",
                fix="lower the learning rate, check the rows, or train in fp32",
            )
        if self.guards:
            if self.accelerator.sync_gradients:  # type: ignore[attr-defined]
                for guard in self.guards:
                    guard.gradient(self, model, step)
            self._guard_micro += 1
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the guards' numbers to every point of the loss curve."""
        if "loss" in logs:
            for guard in self.guards:
                logs.update(guard.log())
        super().log(logs, *args, **kwargs)  # type: ignore[misc]


class GuardCallback(TrainerCallback):
    """Calls the hooks that lie outside the loss, and keeps guard state in checkpoints."""

    def __init__(self, trainer: Any, context: GuardContext) -> None:
        self.trainer = trainer
        self.context = context

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Prepare the guards; on resume give them their state back."""
        for guard in self.trainer.guards:
            guard.prepare(self.trainer, self.context)
        checkpoint = checkpoint_folder(args, state) / STATE_FILE
        if state.global_step and (stored := load_tensors(checkpoint, "state")) is not None:
            for guard in self.trainer.guards:
                mark = f"{guard.name}/"
                own = {k.removeprefix(mark): v.clone() for k, v in stored.items() if k.startswith(mark)}
                guard.load_state(own, args.device)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start counting micro-batches anew."""
        self.trainer._guard_micro = 0
        for guard in self.trainer.guards:
            guard.before_step(self.trainer, self.trainer.model, self.trainer._guard_step())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let the guards see the new weights."""
        for guard in self.trainer.guards:
            guard.after_step(self.trainer, self.trainer.model, self.trainer._guard_step())

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the guards' state into the checkpoint."""
        if not state.is_world_process_zero:
            return
        tensors = {
            f"{guard.name}/{key}": tensor.detach().cpu().contiguous()
            for guard in self.trainer.guards
            for key, tensor in guard.state().items()
        }
        if tensors:
            save_tensors(checkpoint_folder(args, state) / STATE_FILE, tensors, "state")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let the guards set the final weights, unless the probe has set them."""
        if self.trainer.rolled_back:
            return
        for guard in self.trainer.guards:
            guard.finish(self.trainer, self.trainer.model)


def guarded(trainer_class: type) -> type:
    """`trainer_class` with the mixin in front (unchanged if it has it)."""
    if issubclass(trainer_class, GuardMixin):
        return trainer_class
    return type(f"Guarded{trainer_class.__name__}", (GuardMixin, trainer_class), {})


def attach(trainer: Any, guards: Sequence[Guard], context: GuardContext) -> None:
    """Give a trainer its guards; call it before `trainer.train()`.

    Raises:
        InputError: The trainer lacks the mixin, or two guards replace the loss.
    """
    if not isinstance(trainer, GuardMixin):
        raise InputError(
            f"{type(trainer).__name__} cannot be guarded",
            fix="build it from `guarded(YourTrainer)`",
        )
    replacing = [guard.name for guard in guards if guard.replaces_loss]
    if len(replacing) > 1:
        raise InputError(f"only one guard can replace the loss, not {' and '.join(replacing)}")
    for guard in guards:
        guard.setup(trainer, context)
    trainer.guards = tuple(guards)
    trainer.add_callback(GuardCallback(trainer, context))  # type: ignore[attr-defined]
