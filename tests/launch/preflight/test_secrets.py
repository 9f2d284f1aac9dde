"""A job gets the secrets that its stage and its profile name, or is refused."""

from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.launch.preflight.finding import Mistake
from td3_hpc.launch.preflight.secrets import check_alerts, check_container_environment
from tests.launch.preflight.plans import plan

WEBHOOK = "monitors.alerts.webhook=env:THE_WEBHOOK"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THE_WEBHOOK", "https://chat.example.org/T0KEN")
    return tmp_path / "run"


def container(**settings: object) -> dict:
    return {"container": {"image": "/i.sif", **settings}}


def test_nobody_is_told(run: Path) -> None:
    assert check_alerts(plan(run)) == "stay in the run directory and the log"


@pytest.mark.parametrize("key", ["webhook", "command"])
def test_what_is_written_out_is_refused_and_not_shown(run: Path, key: str) -> None:
    for value in ("https://chat.example.org/T0KEN", "<redacted>"):
        with pytest.raises(Mistake, match=f"monitors.alerts.{key} is written out") as refused:
            check_alerts(plan(run, f"monitors.alerts.{key}={value}"))
        assert "T0KEN" not in f"{refused.value} {refused.value.change}"


def test_a_reference_is_read_here_where_the_job_has_no_container(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_alerts(plan(run, WEBHOOK)) == "told to a webhook"
    monkeypatch.delenv("THE_WEBHOOK")
    with pytest.raises(BadInput, match="THE_WEBHOOK is not set here"):
        check_alerts(plan(run, WEBHOOK))


def test_a_container_has_to_be_given_what_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="has no THE_WEBHOOK") as refused:
        check_alerts(plan(run, WEBHOOK, **container()))
    assert "container.environment: {THE_WEBHOOK: env:THE_WEBHOOK}" in refused.value.change
    given = container(environment={"THE_WEBHOOK": "env:THE_WEBHOOK"})
    assert check_alerts(plan(run, WEBHOOK, **given)) == "told to a webhook"

    file = f"monitors.alerts.command=file:{tmp_path}/keys/command"
    with pytest.raises(Mistake, match="is not in the container"):
        check_alerts(plan(run, file, **container()))
    assert check_alerts(plan(run, file, **container(binds=[f"{tmp_path}/keys"]))) == "told to a command"


def test_secrets_of_the_containers_environment_are_not_written_out(run: Path, tmp_path: Path) -> None:
    assert check_container_environment(plan(run, **container(environment={"OMP_NUM_THREADS": "4"}))) == "no secrets"
    named = {"TRACKER_API_KEY": "env:THE_WEBHOOK"}
    assert check_container_environment(plan(run, **container(environment=named))) == "TRACKER_API_KEY"
    with pytest.raises(Mistake, match=r"container.environment.TRACKER_API_KEY is written out") as refused:
        check_container_environment(plan(run, **container(environment={"TRACKER_API_KEY": "T0KEN"})))
    assert "T0KEN" not in f"{refused.value} {refused.value.change}"
    (tmp_path / "key").write_text("T0KEN")
    with pytest.raises(BadInput, match="can be used by others"):
        check_container_environment(plan(run, **container(environment={"A": f"file:{tmp_path}/key"})))
