"""A real run whose alerts go to a real webhook: it is told, and no file of the run holds its address."""

import signal

import pytest

from tests.webhook import TOKEN

ALERTING = {"monitors.gradient_limits.actor": 1e-12, "training.total_steps": 30}


def files_with_the_secret(directory):
    return [path for path in directory.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_written_out_webhook_is_told_and_stands_in_no_file_of_the_run(make_run, server):
    run = make_run(**ALERTING, **{"monitors.alerts.webhook": server.url, "logging.tensorboard": True})
    code, output = run.train("-o", "training.total_steps=25")
    assert code in (0, 3), output
    assert "actor_gradient" in [message["name"] for message in server.posted]
    assert len(list((run.directory / "state").glob("*.h5"))) > 0
    assert files_with_the_secret(run.directory) == []
    assert TOKEN not in output
    assert "webhook: <redacted>" in (run.directory / "config.yaml").read_text()

    told = len(server.posted)
    own_file, run.config = run.config, run.directory / "config.yaml"
    code, output = run.train("-o", "training.total_steps=28", "-o", "monitors.gradient_limits.critic=1e-12")
    assert code in (0, 3), "a redacted copy is no other configuration: " + output
    assert "an alert could not be told: webhook: redacted" in output
    assert len(server.posted) == told
    run.config = own_file
    run.start("-o", "monitors.gradient_limits.critic_cnn=1e-12", "-o", "training.total_steps=60")
    run.wait_for(lambda run: len(server.posted) > told)
    run.process.send_signal(signal.SIGTERM)
    code, output = run.finish()
    assert code == 75, output
    assert run.events("attempt")[-1]["not_exact"] == []
    assert len(server.posted) > told, "the stage's own file tells again"
    assert files_with_the_secret(run.directory) == []


@pytest.mark.long
@pytest.mark.parametrize("by", ["env", "file"])
def test_a_reference_is_told_and_is_what_the_copies_hold(make_run, server, tmp_path, monkeypatch, by):
    reference = "env:THE_WEBHOOK" if by == "env" else f"file:{tmp_path}/address"
    if by == "env":
        monkeypatch.setenv("THE_WEBHOOK", server.url)
    (tmp_path / "address").touch(mode=0o600)
    (tmp_path / "address").write_text(server.url)
    run = make_run(**ALERTING, **{"monitors.alerts.webhook": reference})
    code, output = run.train()
    assert code in (0, 3), output
    assert server.posted
    assert files_with_the_secret(run.directory) == []
    assert f"webhook: {reference}" in (run.directory / "config.yaml").read_text()


def test_a_secret_that_cannot_be_had_ends_it_before_anything_starts(make_run, tmp_path):
    open_file = tmp_path / "address"
    open_file.write_text(f"https://chat.example.org/{TOKEN}")
    open_file.chmod(0o644)
    for value, message in (
        (f"file:{open_file}", "can be used by others (mode 0644); chmod 600"),
        ("env:NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE is not set"),
        (f"http://chat.example.org/{TOKEN}", "alerts are sent by https only"),
    ):
        run = make_run(**{"monitors.alerts.webhook": value})
        code, output = run.train()
        assert (code, len(output.splitlines())) == (2, 1), output
        assert message in output
        assert TOKEN not in output
        assert run.events() == []
