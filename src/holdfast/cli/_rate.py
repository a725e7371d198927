"""A progress column that shows units per second."""

from __future__ import annotations

from rich.progress import ProgressColumn, Task
from rich.text import Text


class RateColumn(ProgressColumn):
    """Units per second, or a dash before the first."""

    def render(self, task: Task) -> Text:
        """Show the finished rate, or the running one."""
        speed = task.finished_speed or task.speed
        return Text("-/s" if not speed else f"{speed:,.0f}/s")
