"""Alerts to a real command and a real HTTP server."""

import http.server
import json
import threading
import time

import psutil
import pytest

from td3_hpc.config import AlertConfig
from td3_hpc.record import AlertChanged
from td3_hpc.training.monitors.notify import Notifier
from tests.processes import wait_until_gone

ALERT = AlertChanged(name="q_magnitude", level="critical", active=True, value=float("nan"), limit=420.0)


def tell(config: dict, alert: AlertChanged = ALERT) -> Notifier:
    notifier = Notifier(AlertConfig.model_validate(config), "1k")
    notifier.report(alert, "ALERT (critical) q_magnitude", 700)
    notifier.close()
    return notifier


@pytest.fixture
def server():
    """A web server that keeps what is posted; `answer` is its status, `delay` what it waits before."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.server.released.wait(self.server.delay)
            self.send_response(self.server.answer)
            self.end_headers()

        def log_message(self, *_):
            pass

    posted: list[dict] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.posted, server.answer, server.delay, server.released = posted, 200, 0.0, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_command_gets_the_alert_as_json(tmp_path):
    notifier = tell({"command": f"cat > {tmp_path}/alert.json"})
    message = json.loads((tmp_path / "alert.json").read_text())
    assert message["text"] == "1k, step 700: ALERT (critical) q_magnitude"
    assert (message["run"], message["step"], message["name"], message["value"]) == ("1k", 700, "q_magnitude", "nan")
    assert notifier.failures() == []


def test_a_webhook_gets_it_by_post(server):
    notifier = tell({"webhook": server.url})
    assert [message["name"] for message in server.posted] == ["q_magnitude"]
    assert notifier.failures() == []


@pytest.mark.parametrize(("level", "told"), [("info", 0), ("warning", 1), ("critical", 1)])
def test_levels_below_the_configured_one_are_not_told(server, level, told):
    tell({"webhook": server.url}, ALERT.model_copy(update={"level": level}))
    assert len(server.posted) == told


def test_a_failing_command_is_a_line_not_an_error():
    failures = tell({"command": "echo no mail server >&2; exit 3"}).failures()
    assert failures == ["q_magnitude: command: exit code 3: no mail server"]


def test_a_refusing_webhook_is_a_line_not_an_error(server):
    server.answer = 500
    assert "500" in tell({"webhook": server.url}).failures()[0]
    assert "refused" in tell({"webhook": "http://127.0.0.1:9/"}).failures()[0]


def test_a_command_that_hangs_is_ended_with_all_its_children(tmp_path):
    command = f"sleep 600 & echo $! $$ > {tmp_path}/pids; sleep 600"
    failures = tell({"command": command, "timeout_s": 1.0}).failures()
    processes = [
        psutil.Process(int(pid)) for pid in (tmp_path / "pids").read_text().split() if psutil.pid_exists(int(pid))
    ]
    assert wait_until_gone(processes) == []
    assert failures in ([], ["q_magnitude: command: ended after 1 s"])


def test_telling_never_waits(server):
    server.delay = 60.0
    notifier = Notifier(AlertConfig(webhook=server.url, timeout_s=0.2), "1k")
    started = time.monotonic()
    for _ in range(150):
        notifier.report(ALERT, "text", 1)
    assert time.monotonic() - started < 5, "150 calls waited for a server that does not answer"
    assert any("waiting already" in failure for failure in notifier.failures()), "the queue must be bounded"
    server.released.set()
    notifier.close()
