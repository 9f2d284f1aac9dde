"""What a person sees while a run goes on: a progress bar in a terminal, plain lines elsewhere."""

import time
from types import TracebackType

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class RunConsole:
    """Lines and a bar on standard output, which `survive_lost_output` keeps from ending the run."""

    def __init__(self, name: str, total_steps: int, first_step: int, console: RichConsole | None = None) -> None:
        self._console = console or RichConsole(highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=total_steps, completed=first_step, status="starting")

    def __enter__(self) -> "RunConsole":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        """One line, with the time of day."""
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False)

    def progress(self, step: int, status: str) -> None:
        """Move the bar; in a file or a pipe nothing is written."""
        self._progress.update(self._task, completed=step, status=status)
