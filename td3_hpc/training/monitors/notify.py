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
from typing import IO, Any
from urllib.parse import urlsplit

from td3_hpc.config import AlertConfig
from td3_hpc.config.secret import REDACTED, hide, read_secret
from td3_hpc.errors import BadInput
from td3_hpc.record import AlertChanged

LEVELS = ("info", "warning", "critical")
_MOST_WAITING = 100


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An alert goes where its user has said, or nowhere: the redirect is the answer, an error."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def read_channels(config: AlertConfig) -> dict[str, str]:
    """What `command` and `webhook` are or name, for those that are there and not redacted. Raises BadInput."""
    found = {
        name: read_secret(f"monitors.alerts.{name}", value)
        for name, value in (("command", config.command), ("webhook", config.webhook))
        if value is not None and value != REDACTED
    }
    if "webhook" in found:
        url = urlsplit(found["webhook"])
        if url.scheme != "https" or not url.hostname:
            raise BadInput("monitors.alerts.webhook: is no https URL; alerts are sent by https only")
    return found


class Notifier:
    """Tells one run's alerts to whoever the configuration names; without a command or a webhook it does nothing.

    Raises BadInput where one of them cannot be read.
    """

    def __init__(self, config: AlertConfig, run: str) -> None:
        self._config = config
        self._run = run
        self._secrets = read_channels(config)
        channels: dict[str, Callable[[dict[str, Any]], None]] = {"command": self._command, "webhook": self._webhook}
        self._channels = [channels[name] for name in self._secrets]
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(_MOST_WAITING)
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("command", "webhook"):
            if getattr(config, name) == REDACTED:
                self._failures.put(f"{name}: redacted in this copy of the configuration; give the stage's own file")

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
                    reason = hide(str(error), self._secrets.values())
                    self._failures.put(f"{message['name']}: {channel.__name__.strip('_')}: {reason}")
            self._waiting.task_done()

    def _command(self, message: dict[str, Any]) -> None:
        self._process = process = subprocess.Popen(
            ["sh", "-c", self._secrets["command"]],
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
            self._secrets["webhook"], _json(message), {"Content-Type": "application/json", "User-Agent": "td3-hpc"}
        )
        with self._opener.open(request, timeout=self._config.timeout_s) as answer:
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
