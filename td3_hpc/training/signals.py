"""Signals set one flag; one place in the loop reads it.

Slurm announces preemption and the time limit by SIGTERM, SIGUSR1 or SIGUSR2 according to the site, a person by
SIGINT, a terminal that goes away by SIGHUP. All mean the same: finish the step, save, leave.
"""

import signal
from types import FrameType, TracebackType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)


def obeyed_signals() -> tuple[signal.Signals, ...]:
    """Those of them that count here: `nohup` has SIGHUP ignored, and wants the run to go on."""
    ignored = signal.SIGHUP if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else None
    return tuple(number for number in STOP_SIGNALS if number != ignored)


class StopRequested(Exception):
    """Raised where waiting any longer would delay the checkpoint that a stop signal asked for."""


class StopFlag:
    """Installs the handlers while it is entered; `signal_name` is None until one of the signals arrives."""

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __bool__(self) -> bool:
        return self.signal_name is not None

    def __enter__(self) -> "StopFlag":
        for number in obeyed_signals():
            self._previous[number] = signal.signal(number, self._set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _set(self, number: int, frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
