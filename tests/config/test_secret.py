"""References to secrets, the files they name, and what copies of a configuration hold."""

from pathlib import Path

import pytest
import yaml

from td3_hpc.config import StageConfig, dump_yaml, load_stage
from td3_hpc.config.changes import changes
from td3_hpc.config.secret import REDACTED, hide, is_reference, read_secret, redacted, source
from td3_hpc.errors import BadInput

KEY = "monitors.alerts.webhook"
URL = "https://chat.example.org/hooks/T0KEN"


def stage(**alerts: str) -> StageConfig:
    training = {"total_steps": 2000, "learning_starts": 500}
    return StageConfig.model_validate({"name": "small", "training": training, "monitors": {"alerts": alerts}})


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("env:TD3_HPC_WEBHOOK", ("env", "TD3_HPC_WEBHOOK")),
        ("file:/etc/td3 hpc/webhook", ("file", "/etc/td3 hpc/webhook")),
        ("file:~/.config/td3-hpc/webhook", ("file", "~/.config/td3-hpc/webhook")),
    ],
)
def test_a_reference_is_no_secret(value, names):
    assert is_reference(value)
    assert source(value) == names
    assert redacted(value) == value


@pytest.mark.parametrize("value", [URL, "env:", "env:A-B", "env:A B", "file:", "file:relative", "file:///shared/x", ""])
def test_anything_else_is_redacted(value):
    assert not is_reference(value)
    assert redacted(value) == REDACTED


def test_a_file_of_its_owner_alone_is_read(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "webhook"
    path.write_text(f"{URL}\n")
    path.chmod(0o600)
    assert read_secret(KEY, f"file:{path}") == read_secret(KEY, "file:~/webhook") == URL


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_use_is_refused_in_one_line(tmp_path: Path, mode: int):
    path = tmp_path / "webhook"
    path.write_text(URL)
    path.chmod(mode)
    with pytest.raises(BadInput) as refused:
        read_secret(KEY, f"file:{path}")
    assert str(refused.value) == f"{KEY}: {path} can be used by others (mode {mode:04o}); chmod 600 {path}"


def test_what_is_missing_or_empty_is_refused_in_one_line(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("TD3_HPC_WEBHOOK", raising=False)
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    for value, message in (
        ("env:TD3_HPC_WEBHOOK", f"{KEY}: the environment variable TD3_HPC_WEBHOOK is not set here"),
        (f"file:{tmp_path}/none", f"{KEY}: {tmp_path}/none cannot be read .no such file"),
        (f"file:{tmp_path}", f"{KEY}: {tmp_path} cannot be read .is a directory"),
        (f"file:{empty}", f"{KEY}: {empty} is empty"),
    ):
        with pytest.raises(BadInput, match=message) as refused:
            read_secret(KEY, value)
        assert "\n" not in str(refused.value)


def test_every_copy_is_redacted_and_read_back(tmp_path: Path):
    given = stage(webhook=URL, command="curl T0KEN")
    copy = tmp_path / "config.yaml"
    copy.write_text(dump_yaml(given))
    alerts = yaml.safe_load(copy.read_text())["monitors"]["alerts"]
    assert (alerts["webhook"], alerts["command"]) == (REDACTED, REDACTED)
    assert "T0KEN" not in f"{given!r} {given} {given.model_dump()} {given.model_dump_json()}"
    assert changes(load_stage(copy), given) == [], "a redacted copy is no other configuration"
    assert "T0KEN" not in str(changes(stage(), given))
    assert dump_yaml(load_stage(copy)) == copy.read_text()


def test_a_mistake_in_one_does_not_show_it(tmp_path: Path):
    path = tmp_path / "stage.yaml"
    text = dump_yaml(stage(webhook="env:WEBHOOK"))
    for value in ("chat.example.org/T0KEN", "env:T0KEN-", "file:T0KEN"):
        path.write_text(text.replace("env:WEBHOOK", value))
        with pytest.raises(BadInput, match=r"monitors.alerts.webhook: ") as refused:
            load_stage(path)
        assert "T0KEN" not in str(refused.value)


def test_pieces_of_a_secret_are_hidden_too():
    assert hide("no route to /services/B012345678/abcdefgh", ["https://x.org/services/B012345678/abcdefgh"]) == (
        f"no route to /{REDACTED}/{REDACTED}/{REDACTED}"
    )
    assert hide("no mail server", ["echo no mail server"]) == "no mail server"
