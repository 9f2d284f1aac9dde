"""`td3-hpc checkpoint`, by the command that users run."""

import errno
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from td3_hpc.checkpoint.cli import app
from td3_hpc.checkpoint_names import manifest_paths
from td3_hpc.config import StageConfig, dump_yaml
from td3_hpc.errors import BadInput, UserError
from tests.checkpoint.rows import GrowingRows, open_store, tree
from tests.disks import small_disk
from tests.small_stage import SMALL, changed


def stage(**rules):
    return StageConfig.model_validate(changed(SMALL, {f"checkpoint.{key}": value for key, value in rules.items()}))


@pytest.fixture
def run_dir(tmp_path):
    store = open_store(tmp_path / "run", keep_last=4)
    for step, tags in ((1, {}), (2, {"evaluation_return": 1.5}), (3, {"stage_end": True})):
        store.save(step, tree(step), GrowingRows(10 * step), tags=tags)
    store.close()
    return tmp_path / "run"


def checkpoint(*arguments):
    """Exit code and output."""
    result = invoke(*arguments)
    return result.exit_code, result.output


def invoke(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_inspect_lists_the_newest_first(run_dir):
    code, output = checkpoint("inspect", run_dir)
    assert code == 0
    lines = [line.split() for line in output.splitlines()[2:]]
    assert [(line[0], line[3], line[4]) for line in lines] == [
        ("e0001-s000000003-0003", "3", "30"),
        ("e0001-s000000002-0002", "2", "20"),
        ("e0001-s000000001-0001", "1", "10"),
    ]
    assert "stage_end=True" in output
    assert "evaluation_return=1.5" in output


def test_inspect_as_json(run_dir):
    code, output = checkpoint("inspect", run_dir, "--json")
    rows = json.loads(output)
    assert code == 0
    assert [(row["step"], row["rows"], row["tags"]) for row in rows][1] == (2, 20, {"evaluation_return": 1.5})
    assert rows[0]["path"] == str(manifest_paths(run_dir)[0])


def test_inspect_goes_on_past_what_is_damaged(run_dir):
    newest = manifest_paths(run_dir)[0]
    newest.write_bytes(newest.read_bytes()[:100])
    code, output = checkpoint("inspect", run_dir)
    assert code == 0
    assert "DAMAGED" in output
    assert "e0001-s000000002-0002" in output
    rows = json.loads(checkpoint("inspect", run_dir, "--json")[1])
    assert newest.name in rows[0]["damage"]
    assert rows[0].keys() == rows[1].keys()
    open_store(run_dir).close()
    assert "set aside; yours to delete" in checkpoint("inspect", run_dir)[1]


def test_verify_names_what_is_damaged_and_exits_1(run_dir):
    assert checkpoint("verify", run_dir)[0] == 0
    segment = max((run_dir / "replay").iterdir())
    flip(segment)
    code, output = checkpoint("verify", run_dir)
    assert code == 1
    assert f"{segment.name}: its content has changed" in output.replace("\n", "")
    assert output.count(": whole") == 2
    found = json.loads(checkpoint("verify", run_dir, "--json")[1])
    assert [bool(faults) for faults in found.values()] == [True, False, False]
    assert checkpoint("verify", manifest_paths(run_dir)[1])[0] == 0, "one manifest alone"


def test_diff_exits_0_only_for_the_same_bytes(run_dir):
    first, second = manifest_paths(run_dir)[:2]
    assert checkpoint("diff", run_dir, first) == (0, "the same bytes\n")
    code, output = checkpoint("diff", first, second)
    assert code == 1
    assert "counters/step" in output
    differences = json.loads(checkpoint("diff", first, second, "--json")[1])
    assert {"path", "what"} == differences[0].keys()


def test_prune_tells_first_and_then_removes(run_dir):
    (run_dir / "config.yaml").write_text(dump_yaml(stage(keep_last=3)))
    store = open_store(run_dir, keep_last=9)
    store.save(4, tree(4), GrowingRows(40))
    store.close()
    told = json.loads(checkpoint("prune", run_dir, "--dry-run", "--json")[1])
    assert told["manifests"] == ["checkpoint-e0001-s000000001-0001.json"]
    assert len(manifest_paths(run_dir)) == 4
    code, output = checkpoint("prune", run_dir)
    assert code == 0
    assert "checkpoint-e0001-s000000001-0001.json" in output
    assert "freed" in output
    assert len(manifest_paths(run_dir)) == 3


@pytest.mark.parametrize("command", ["inspect", "verify", "diff", "prune"])
def test_a_directory_without_checkpoints_is_bad_input(tmp_path, command):
    error = invoke(command, *[tmp_path] * (2 if command == "diff" else 1)).exception
    assert isinstance(error, BadInput)
    assert str(error).startswith(f"{tmp_path}: ")
    assert str(error).endswith("give a run directory or a state/checkpoint-*.json file")
    assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("command", ["inspect", "verify", "diff", "prune", "continue", "set-aside"])
def test_help_has_an_example(command):
    assert f"td3-hpc checkpoint {command} checkpoints/" in checkpoint(command, "--help")[1]


def test_diff_compares_what_configurations_mean(tmp_path):
    """An earlier version's lacks the number of its format; a key of another value is named."""
    written = Path(__file__).parents[1] / "config" / "formats"
    texts = {name: (written / f"{name}.yaml").read_text() for name in ("1", "2")}
    texts["other"] = texts["1"].replace("tau: 0.005", "tau: 0.5")
    for name, text in texts.items():
        store = open_store(tmp_path / name)
        store.save(1, {**tree(1), "config": text}, GrowingRows(10))
        store.close()

    assert checkpoint("diff", tmp_path / "1", tmp_path / "2") == (0, "the same bytes\n")
    assert checkpoint("diff", tmp_path / "2", tmp_path / "other") == (1, "config: agent.tau (0.005 -> 0.5)\n")


def test_without_a_configuration_the_newest_checkpoint_tells_what_is_kept(tmp_path):
    """Defaults would remove what the run's own rules keep."""
    store = open_store(tmp_path, keep_last=9)
    for step in range(1, 7):
        store.save(step, {**tree(step), "config": dump_yaml(stage(keep_last=5))}, GrowingRows(10 * step))
    store.close()
    assert checkpoint("prune", tmp_path)[0] == 0
    assert len(manifest_paths(tmp_path)) == 5


def test_without_any_rules_nothing_is_removed(tmp_path):
    store = open_store(tmp_path, keep_last=9)
    for step in range(1, 7):
        store.save(step, {**tree(step), "config": "no mapping"}, GrowingRows(10 * step))
    store.close()
    assert isinstance(invoke("prune", tmp_path).exception, BadInput)
    assert len(manifest_paths(tmp_path)) == 6


def test_what_tells_of_the_checkpoints_goes_and_comes_back_with_them(run_dir):
    def tell(epoch, what):
        (run_dir / "tensorboard").mkdir(exist_ok=True)
        for name in ("verdict.json", "config.yaml", "tensorboard/events.out.1"):
            (run_dir / name).write_text(what)
        (run_dir / "record.jsonl").write_text(json.dumps({"event": "attempt", "epoch": epoch, "what": what}) + "\n")

    def told():
        names = ("verdict.json", "config.yaml", "tensorboard/events.out.1")
        return {(run_dir / name).read_text() for name in names} | {
            json.loads((run_dir / "record.jsonl").read_text())["what"]
        }

    old = manifest_paths(run_dir)[0].name
    tell(1, "the first")
    assert "record.jsonl" in checkpoint("set-aside", run_dir)[1]
    left = {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith("state/")} == {"config.yaml"}

    store = open_store(run_dir)
    store.save(1, tree(1), GrowingRows(10))
    store.close()
    new = manifest_paths(run_dir)[0].name
    tell(store.epoch, "the second")
    assert checkpoint("continue", run_dir)[0] == 0
    assert told() == {"the second"}, "it goes on as it is"

    for name, what in ((old, "the first"), (new, "the second"), (old, "the first")):
        assert checkpoint("continue", run_dir, run_dir / "state" / "set-aside" / name)[0] == 0
        assert told() == {what}
    assert checkpoint("prune", run_dir, "--set-aside")[0] == 0
    assert list((run_dir / "state" / "set-aside").iterdir()) == []
    assert told() == {"the first"}


def test_a_record_that_begins_with_an_earlier_stages_is_told_from_it_by_its_own_attempts(run_dir):
    old = manifest_paths(run_dir)[0].name
    lines = [{"event": "attempt", "epoch": 1}, {"event": "attempt", "epoch": 1, "continues_stage": True}]
    (run_dir / "record.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first = (run_dir / "record.jsonl").read_bytes()
    assert checkpoint("set-aside", run_dir)[0] == 0
    store = open_store(run_dir)
    store.save(1, tree(1), GrowingRows(10))
    store.close()
    lines[1]["epoch"] = store.epoch
    (run_dir / "record.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert checkpoint("continue", run_dir, run_dir / "state" / "set-aside" / old)[0] == 0
    assert (run_dir / "record.jsonl").read_bytes() == first


def test_files_are_set_aside_from_a_replay_folder_on_another_file_system(tmp_path):
    with small_disk(tmp_path / "disk", "8m") as disk:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "replay").symlink_to(disk)
        store = open_store(tmp_path / "run")
        store.save(1, tree(1), GrowingRows(10))
        store.close()
        name = manifest_paths(tmp_path / "run")[0].name
        assert checkpoint("set-aside", tmp_path / "run")[0] == 0
        assert list(disk.iterdir()) == []
        assert checkpoint("continue", tmp_path / "run", tmp_path / "run" / "state" / "set-aside" / name)[0] == 0
        assert checkpoint("verify", tmp_path / "run")[0] == 0


@pytest.mark.parametrize("command", ["continue", "set-aside"])
@pytest.mark.parametrize(("number", "error"), [(errno.EROFS, BadInput), (errno.ENOSPC, UserError)])
def test_a_file_system_that_refuses_is_bad_input_only_where_waiting_does_not_help(
    run_dir, monkeypatch, command, number, error
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("td3_hpc.checkpoint.choice.continue_from", refuse)
    monkeypatch.setattr("td3_hpc.checkpoint.choice.set_all_aside", refuse)
    told = invoke(command, run_dir).exception
    assert type(told) is error
    assert str(told) == f"{run_dir}: cannot be changed ({os.strerror(number)})"
