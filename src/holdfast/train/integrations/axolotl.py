"""Axolotl plugin: `plugins: [holdfast.train.integrations.axolotl.HoldfastPlugin]`.

Settings in the same YAML:

    holdfast:
      safety: mix/safety.jsonl
      guards:
        - {name: kl_anchor, weight: 3}
      probe: {every: 100, act: warn}

`BasePlugin` is under Axolotl's own licence, so nothing of it is copied: the class is made when this
module's attribute `HoldfastPlugin` is looked up, from the Axolotl that is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from holdfast.errors import InputError, missing_extra
from holdfast.train.integrations import guard_trainer


class HoldfastSettings(BaseModel):
    """The section `holdfast:` of an Axolotl configuration."""

    guards: list[dict[str, Any]] = []
    safety: Path | None = None
    probe: dict[str, Any] | None = None


class HoldfastArgs(BaseModel):
    """What the plugin adds to Axolotl's configuration schema."""

    holdfast: HoldfastSettings | None = None


class PluginHooks:
    """The hooks, apart from Axolotl's base class."""

    def get_input_args(self) -> str:
        """Path of the settings model."""
        return f"{__name__}.HoldfastArgs"

    def get_trainer_cls(self, cfg: Any) -> type | None:
        """Axolotl's own trainer class with the guard mixin in front."""
        if not _settings(cfg):
            return None
        from holdfast.train.mixin import guarded

        try:
            from axolotl.core.trainers import AxolotlTrainer  # type: ignore[import-not-found]
        except ImportError:
            raise missing_extra("train", "axolotl") from None
        return guarded(AxolotlTrainer)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        """Attach guards and probe; they add their own callbacks."""
        found = _settings(cfg)
        if found:
            settings = HoldfastSettings.model_validate(found)
            guard_trainer(
                trainer,
                settings.guards,
                base=_base(cfg),
                safety=settings.safety,
                probe=settings.probe,
            )
        return []


def _settings(cfg: Any) -> Any:
    found = getattr(cfg, "holdfast", None)
    return found.model_dump() if isinstance(found, BaseModel) else found


def _base(cfg: Any) -> Path:
    base = Path(str(cfg.base_model))
    if not base.is_dir():
        from holdfast.models.folder import resolve
        from holdfast.models.refs import parse_ref

        return resolve(parse_ref(f"hf:{cfg.base_model}"))
    return base


def __getattr__(name: str) -> Any:
    if name != "HoldfastPlugin":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    try:
        from axolotl.integrations.base import BasePlugin  # type: ignore[import-not-found]
    except ImportError:
        raise InputError("this plugin needs Axolotl", fix="pip install axolotl") from None
    return type("HoldfastPlugin", (PluginHooks, BasePlugin), {})
