"""Alerts to a command or a webhook of the user's. A thread does the waiting: the run is never held up, nor fails."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from td3_hpc.config import AlertConfig
from td3_hpc.record import AlertChanged

LEVELS = ("info", "warning", "critical")
_MOST_WAITING = 100


class Notifier:
    """Tells one run's alerts to whoever the configuration names; without a command or a webhook it does nothing."""

    def __init__(self, config: AlertConfig, run: str) -> None:
        self._config = config
        self._run = run
        self._channels: list[Callable[[dict[str, Any]], None]] = []
        if config.command is not None:
            self._channels.append(self._command)
        if config.webhook is not None:
            self._channels.append(self._webhook)
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(_MOST_WAITING)
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def report(self, alert: AlertChanged, text: str, step: int) -> None:
        """Queue an alert, with its one line of text, if its level is worth it; returns at once."""
        if not self._channels or LEVELS.index(alert.level) < LEVELS.index(self._config.from_level):
            return
        message = {"text": f"{self._run}, step {step}: {text}", "run": self._run, "step": step, **alert.as_line()}
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._failures.put(f"{alert.name}: {_MOST_WAITING} notifications are waiting already; this one is lost")
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
            self._thread.start()

    def failures(self) -> list[str]:
        """What could not be told since the last call, and why."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._failures.get_nowait())
        return found

    def close(self) -> None:
        """Give what is waiting a last chance, for at most the configured time."""
        deadline = time.monotonic() + self._config.timeout_s
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.02)
        _end(self._process)

    def _work(self) -> None:
        while True:
            message = self._waiting.get()
            for channel in self._channels:
                try:
                    channel(message)
                except Exception as error:  # told in the record; a failing mail server must not end the run
                    self._failures.put(f"{message['name']}: {channel.__name__.strip('_')}: {error}")
            self._waiting.task_done()

    def _command(self, message: dict[str, Any]) -> None:
        self._process = process = subprocess.Popen(
            ["sh", "-c", str(self._config.command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, errors = process.communicate(_json(message), self._config.timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            process.communicate()
            raise RuntimeError(f"ended after {self._config.timeout_s:g} s") from None
        if process.returncode:
            words = errors.decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"exit code {process.returncode}{': ' + words[-1] if words else ''}")

    def _webhook(self, message: dict[str, Any]) -> None:
        request = urllib.request.Request(
            str(self._config.webhook), _json(message), {"Content-Type": "application/json", "User-Agent": "td3-hpc"}
        )
        with urllib.request.urlopen(request, timeout=self._config.timeout_s) as answer:
            answer.read(1)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    """End a command that still runs, with all that it started."""
    if process is not None and process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _json(message: dict[str, Any]) -> bytes:
    """JSON proper: NaN and infinities, which it lacks, as text."""
    plain = {
        key: value if not isinstance(value, float) or abs(value) < float("inf") else str(value)
        for key, value in message.items()
    }
    return json.dumps(plain).encode()
