"""Alerts to a real command and a real https server."""

import json
import time

import psutil
import pytest

from td3_hpc.config import AlertConfig
from td3_hpc.config.secret import REDACTED
from td3_hpc.errors import BadInput
from td3_hpc.record import AlertChanged
from td3_hpc.training.monitors.notify import Notifier, read_channels
from tests.processes import wait_until_gone
from tests.webhook import TOKEN

ALERT = AlertChanged(name="q_magnitude", level="critical", active=True, value=float("nan"), limit=420.0)


def tell(config: dict, alert: AlertChanged = ALERT) -> Notifier:
    notifier = Notifier(AlertConfig.model_validate(config), "1k")
    notifier.report(alert, "ALERT (critical) q_magnitude", 700)
    notifier.close()
    return notifier


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
    assert "refused" in tell({"webhook": "https://127.0.0.1:9/"}).failures()[0]


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


def test_both_are_read_from_the_environment_and_from_a_private_file(server, tmp_path, monkeypatch):
    monkeypatch.setenv("THE_WEBHOOK", server.url)
    command = tmp_path / "command"
    command.touch(mode=0o600)
    command.write_text(f"cat > {tmp_path}/alert.json\n")
    notifier = tell({"webhook": "env:THE_WEBHOOK", "command": f"file:{command}"})
    assert [message["name"] for message in server.posted] == ["q_magnitude"]
    assert json.loads((tmp_path / "alert.json").read_text())["name"] == "q_magnitude"
    assert notifier.failures() == []


def test_a_redirect_is_not_followed(server):
    server.answer, server.location = 307, server.url
    assert "307" in tell({"webhook": server.url}).failures()[0]
    server.answer = 302
    assert "302" in tell({"webhook": server.url}).failures()[0]
    assert len(server.posted) == 2, "somebody was asked who is not in the configuration"


def test_a_server_without_a_trusted_certificate_is_told_nothing(server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in tell({"webhook": server.url}).failures()[0]
    assert server.posted == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", f"http://chat.example.org/{TOKEN}", "ftp://example.org/", "no"])
def test_only_https_will_do(url, monkeypatch):
    monkeypatch.setenv("THE_WEBHOOK", url)
    with pytest.raises(BadInput, match=r"^monitors.alerts.webhook: is no https URL; alerts are sent by https only$"):
        read_channels(AlertConfig(webhook="env:THE_WEBHOOK"))
    if url.startswith("http:"):
        with pytest.raises(BadInput, match=r"https only$"):
            read_channels(AlertConfig(webhook=url))


def test_a_redacted_one_is_a_line_not_an_error():
    notifier = tell({"webhook": REDACTED, "command": REDACTED})
    assert [failure.split(":")[0] for failure in notifier.failures()] == ["command", "webhook"]


def test_failures_do_not_tell_the_secret():
    command = f"echo cannot reach https://example.org/{TOKEN} >&2; exit 1"
    notifier = tell({"command": command, "webhook": f"https://127.0.0.1:9/{TOKEN} with a space"})
    failures = notifier.failures()
    assert len(failures) == 2
    assert TOKEN not in "".join(failures), failures
