"""The chain without Slurm: the same scripts, one after another, in the foreground."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import load_campaign
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.launch.campaigns import chain
from td3_hpc.launch.campaigns.resume import resume, review
from td3_hpc.launch.jobs.foreground import exclusive_lock
from td3_hpc.launch.runs.cancel import cancel
from tests.campaign_stand_in import TrialCampaign, events, make_package, place, write_campaign
from tests.paths import ROOT
from tests.processes import descendants
from tests.slurm.cluster import wait_until


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(autouse=True)
def no_preflight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preflight has tests of its own, and speaks of the machine that these run on."""
    monkeypatch.setattr(chain, "require_ready", lambda here: None)
    monkeypatch.setattr("td3_hpc.launch.campaigns.resume.require_ready", lambda here, anew: None)


class Trial(TrialCampaign):
    """A campaign that is submitted to this machine."""

    def __init__(self, folder: Path, package: Path) -> None:
        profile = ClusterConfig(scheduler="local", scratch=folder / "scratch", runs=folder / "runs")
        super().__init__(folder, package, profile)

    def resume(self, *stages: dict[str, Any], accept: bool = False, **top: Any) -> ExitCode:
        self.logged.clear()
        return resume(self.place(*stages, **top), accept, self.logged.append, self.package)


@pytest.fixture
def trial(tmp_path: Path, package: Path) -> Trial:
    (tmp_path / "scratch").mkdir()
    return Trial(tmp_path, package)


BAD = {"agent.tau": 0.9}


def test_every_stage_runs_in_turn_and_submitting_again_does_nothing(trial: Trial) -> None:
    assert trial.submit({}, {}, {}, seeds=[4, 7]) == ExitCode.DONE

    for seed in (4, 7):
        assert trial.verdicts("a", "b", "c", seed=seed) == ["GO", "GO", "GO"]
    order = [events(trial.run(stage, seed), "attempt")[0]["time"] for stage in "abc" for seed in (4, 7)]
    assert order == sorted(order), "the stages did not run in their order"
    assert "seed: 7\n" in (trial.run("b", 7) / "config.yaml").read_text()

    assert trial.submit({}, {}, {}, seeds=[4, 7]) == ExitCode.DONE
    assert "finished already" in trial.logged[-1]
    assert trial.starts("a", 4) == 1


def test_after_a_failed_gate_later_stages_end_at_once_and_after_the_correction_resume_completes(trial: Trial) -> None:
    assert trial.submit({}, BAD, {}, {}) == ExitCode.NO_GO

    assert trial.verdicts("a", "b", "c", "d") == ["GO", "NO-GO", None, None]
    assert [trial.starts(stage) for stage in "cd"] == [0, 0]
    assert "stage b, seed 1 is NO-GO: agent.tau is 0.9" in trial.logged[-1]
    assert trial.submit({}, BAD, {}, {}) == ExitCode.NO_GO
    assert "campaign resume" in trial.logged[-1]

    assert trial.resume({}, {}, {}, {}) == ExitCode.DONE
    assert trial.verdicts("a", "b", "c", "d") == ["GO"] * 4
    assert [trial.starts(stage) for stage in "abcd"] == [1, 1, 1, 1], "a passed stage was done again"
    aside = trial.root / "b" / "set-aside" / "1" / "seed-1"
    assert "tau: 0.9" in (aside / "config.yaml").read_text(), "the failed run was not kept"


def test_a_stage_put_before_one_that_continues_makes_that_begin_again(trial: Trial) -> None:
    """Else it would go on from its own steps, which do not come from the new stage."""
    continued = {"name": "b", "start": "continue", "training.total_steps": 20}
    trial.submit({}, continued)  # the stand-in's checkpoints cannot be carried over

    def begins_again(*before: dict[str, Any]) -> bool:
        return ("b", 1) in review(trial.place(*before, continued), False, trial.package).anew

    assert not begins_again({})
    assert begins_again({}, {"name": "between", "start": "continue", "training.total_steps": 15})
    assert begins_again({"name": "another"})


def test_a_changed_gate_judges_the_finished_run_again(trial: Trial) -> None:
    trial.submit({}, BAD)

    assert trial.resume({}, {**BAD, "gates": {"finite": {"severity": "optional"}}}) == ExitCode.NO_GO

    assert len(events(trial.run("b"), "interval")) == 10, "its steps were done again"
    assert (trial.root / "b" / "set-aside" / "1" / "seed-1-verdict.json").exists()


def test_a_resume_that_makes_no_sense_changes_nothing(trial: Trial) -> None:
    trial.submit({}, BAD, {})
    before = sorted(trial.root.rglob("*"))

    with pytest.raises(BadInput, match="Nothing of that has changed"):
        trial.resume({}, BAD, {})
    with pytest.raises(BadInput, match=r"stage a has passed, and differs now: agent.tau \(0.005 -> 0.01\)"):
        trial.resume({"agent.tau": 0.01}, {}, {})

    assert sorted(trial.root.rglob("*")) == before


def test_with_other_code_passed_verdicts_count_only_when_they_are_accepted(trial: Trial, tmp_path: Path) -> None:
    trial.submit({}, BAD, {})
    trial.package = make_package(tmp_path / "corrected")
    (trial.package / "correction.py").write_text("")

    with pytest.raises(BadInput, match=r"stage a, seed 1, passed with other code .*--accept-verdicts"):
        trial.resume({}, {}, {})
    assert trial.resume({}, {}, {}, accept=True) == ExitCode.DONE

    assert [trial.starts(stage) for stage in "abc"] == [1, 1, 1]
    ledger = [json.loads(line) for line in (trial.root / "ledger.jsonl").read_text().splitlines()]
    assert [event["event"] for event in ledger] == ["submitted", "accepted", "resumed"]


def test_submitting_something_else_under_the_same_name_is_refused(trial: Trial) -> None:
    trial.submit({}, {})

    with pytest.raises(BadInput, match=r"submitted otherwise: stage b: agent.tau \(0.005 -> 0.01\)"):
        trial.submit({}, {"agent.tau": 0.01})


def test_a_share_of_the_seeds_may_fail_where_the_campaign_says_so(trial: Trial) -> None:
    """The verdict of one seed is changed by hand, since the stand-in fails by configuration, for all seeds alike."""
    trial.submit({}, seeds=[1, 2, 3])
    path = trial.run("a", 2) / "verdict.json"
    path.write_text(path.read_text().replace('"GO"', '"NO-GO"'))

    with pytest.raises(BadInput, match="3 of 3 seeds must pass stage a; stage a, seed 2 is NO-GO"):
        trial.resume({}, {}, seeds=[1, 2, 3])
    assert trial.resume({}, {}, seeds=[1, 2, 3], require=0.67) == ExitCode.DONE

    assert [trial.starts("b", seed) for seed in (1, 2, 3)] == [1, 0, 1]
    assert trial.logged[-1].endswith("stage b is GO for 2 of 3 seeds")


def test_killed_at_any_moment_and_submitted_again_it_continues(trial: Trial) -> None:
    """The driver ends with its whole group, as with the machine, at a step of each stage; or by a signal, and saves."""
    stages = [{}, {}, {}]
    place(write_campaign(trial.file, *stages), trial.profile, step_s=0.05)
    program = f"""
from pathlib import Path
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.campaigns import chain
from td3_hpc.launch.runs.cancel import cancel
from td3_hpc.launch.jobs.foreground import exclusive_lock
from tests.campaign_stand_in import place
chain.require_ready = lambda here: None
profile = ClusterConfig.model_validate_json({trial.profile.model_dump_json()!r})
raise SystemExit(chain.submit(place(Path({str(trial.file)!r}), profile), print, Path({str(trial.package)!r})))
"""
    for stage, number in (("a", signal.SIGTERM), ("b", signal.SIGKILL), ("b", signal.SIGINT), ("c", signal.SIGKILL)):
        done = len(events(trial.run(stage), "interval"))
        driver = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
        wait_for_steps(trial.run(stage), done + 2)
        if number == signal.SIGKILL:
            for process in [driver.pid, *descendants_of(driver.pid)]:
                os.kill(process, number)
            assert driver.wait(30) == -signal.SIGKILL
        else:
            driver.send_signal(number)
            assert driver.wait(30) == ExitCode.PREEMPTED

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=120).returncode == 0
    assert trial.verdicts("a", "b", "c") == ["GO", "GO", "GO"]
    for stage in "abc":
        steps = [event["step"] for event in events(trial.run(stage), "interval")]
        assert steps == list(range(1, 11)), f"stage {stage} lost or repeated a step"


def wait_for_steps(run: Path, count: int) -> None:
    wait_until(lambda: len(events(run, "interval")) >= count, 60)


def descendants_of(pid: int) -> list[int]:
    return [process.pid for process in descendants(pid)]


def test_a_running_campaign_is_not_started_twice(trial: Trial) -> None:
    trial.submit({}, BAD)
    with exclusive_lock(trial.root / "submission" / "lock.local", ""):
        assert trial.submit({}, BAD) == ExitCode.DONE
        assert "submitted already" in trial.logged[-1]
        with pytest.raises(BadInput, match="has jobs"):
            trial.resume({}, {})
        with pytest.raises(BadInput, match="stop it there with Ctrl-C"):
            cancel(trial.root, 1, trial.logged.append)
        CampaignDirectory(trial.root).note("cancelled")
        with pytest.raises(BadInput, match="was cancelled, and still has jobs"):
            trial.submit({}, BAD)
    assert trial.starts("b") == 1


def test_a_resume_that_was_cut_off_is_noticed(trial: Trial) -> None:
    trial.submit({}, plan={"stuck": {"a": 3}})
    (trial.root / "submission" / "code" / "td3_hpc" / "cli.py").unlink()

    with pytest.raises(BadInput, match=r"not whole, a `campaign resume` was cut off"):
        trial.submit({})


def test_a_failed_stage_ends_the_chain_with_its_status(trial: Trial) -> None:
    assert trial.submit({}, {}, plan={"stuck": {"a": 3}}) == ExitCode.FAILED

    assert trial.starts("b") == 0
    (trial.root / "plan.json").write_text("{}")
    assert trial.submit({}, {}) == ExitCode.DONE


def test_seeds_on_one_node_cannot_share_ports(trial: Trial) -> None:
    free = {"environment.traffic.port": 0, "environment.traffic.evaluation_port": 0}
    slurm = trial.profile.model_copy(update={"scheduler": "slurm"})
    file = write_campaign(trial.file, {}, free, seeds=[1, 2])
    fixed, found = load_campaign(file).stages
    for profile, expected in (
        (slurm, ["environment.traffic.port", "environment.traffic.evaluation_port"]),
        (trial.profile, []),
    ):
        here = place(file, profile)
        assert chain.shared_ports(here, fixed) == expected
        assert chain.shared_ports(here, found) == []
    assert chain.shared_ports(place(write_campaign(trial.file, {}), slurm), fixed) == []
