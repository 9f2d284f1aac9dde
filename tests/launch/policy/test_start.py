"""What a campaign's job does when it starts: every row of docs/campaigns.md's table, and what stands below it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from td3_hpc.campaign.admission import Admission
from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.errors import BadInput
from td3_hpc.launch.policy.start import RunFiles, plan_start, read_run, write_plan
from td3_hpc.submission_folder import SubmissionFolder
from tests.campaign_stand_in import write_campaign

OWN = RunFiles(("b", 1), Path("/c/b/seed-1"), 0, (0,))
WITHOUT_JOB = RunFiles(("a", 1), Path("/c/a/seed-1"), 4, (0, 4), 75)
OTHER = RunFiles(("a", 2), Path("/c/a/seed-2"), 7, (0,), 75)
FRUITLESS = RunFiles(("a", 1), Path("/c/a/seed-1"), 4, (0, 4, 4, 4), 1)
GO, NO_GO = Admission("go", "a is GO"), Admission("no-go", "a is NO-GO")
WAIT = Admission("wait", "a is unfinished", (("a", 1),))


@pytest.mark.parametrize(
    ("admission", "unfinished", "last", "queued", "expected"),
    [
        pytest.param(GO, [], False, True, ["first run", "0 scancel b 1", "3 scancel b 1"], id="GO"),
        pytest.param(
            GO,
            [],
            True,
            True,
            ["first sbatch b 1 0 b/1", "first run", "0 scancel b 1", "3 scancel b 1"],
            id="GO, and no stage comes after this one",
        ),
        pytest.param(GO, [], True, False, ["first run"], id="GO, without a queue"),
        pytest.param(NO_GO, [], False, True, ["first exit 3 NO-GO; see the line above"], id="NO-GO"),
        pytest.param(
            NO_GO,
            [],
            True,
            True,
            ["first scancel b 1", "first exit 3 NO-GO; see the line above"],
            id="NO-GO, before the last stage",
        ),
        pytest.param(
            WAIT,
            [WITHOUT_JOB, OTHER],
            False,
            True,
            [
                "first withdraw",
                "first sbatch a 1 4",
                "first sbatch a 2 7",
                "first sbatch b 1 - a/1 a/2",
                "first exit 75 waits for the stage before",
            ],
            id="unfinished",
        ),
        pytest.param(
            WAIT,
            [FRUITLESS],
            False,
            True,
            [
                "first withdraw",
                "first give-up a 1 3 jobs got no further than step 4, see /c/a/seed-1/logs",
                "first sbatch b 1 - a/1",
                "first exit 75 waits for the stage before",
            ],
            id="unfinished, and three jobs in a row reached no further step",
        ),
        pytest.param(
            WAIT,
            [RunFiles(("a", 1), Path("/c/a/seed-1"), 0, (0,), 2)],
            False,
            True,
            [
                "first withdraw",
                "first give-up a 1 its input is wrong, see the log in /c/a/seed-1/logs",
                "first sbatch b 1 - a/1",
                "first exit 75 waits for the stage before",
            ],
            id="unfinished, for its input is wrong",
        ),
        pytest.param(
            WAIT,
            [WITHOUT_JOB],
            False,
            False,
            ["first exit 75 the stage before is unfinished; submit the campaign again to continue"],
            id="unfinished, without a queue",
        ),
        pytest.param(
            Admission("stuck", "a was given up"),
            [],
            True,
            True,
            ["first exit 1 not admitted; see the line above"],
            id="given up",
        ),
        pytest.param(
            Admission("cancelled", "by its user"), [], True, True, ["first exit 75 not started"], id="cancelled"
        ),
    ],
)
def test_what_a_job_does_by_the_stage_before(
    admission: Admission, unfinished: list[RunFiles], last: bool, queued: bool, expected: list[str]
) -> None:
    assert str(plan_start(admission, OWN, unfinished, last, queued)).splitlines() == expected


def test_a_last_stage_that_gets_nowhere_is_given_up_where_no_job_waits_behind_it() -> None:
    own = RunFiles(("b", 1), Path("/c/b/seed-1"), 4, (0, 4, 4, 4))

    first, *_ = str(plan_start(GO, own, [], last=True, queued=True)).splitlines()

    assert first == "first give-up b 1 3 jobs got no further than step 4, see /c/b/seed-1/logs"


@pytest.mark.parametrize(
    ("queued_at", "step", "fruitless"),
    [
        ((), 0, False),
        ((0, 0), 0, False),
        ((0, 0, 0), 0, True),
        ((0, 0, 0), 1, False),
        ((0, 4, 4), 4, False),
        ((4, 4, 4, 4), 4, True),
        ((4, 4, None, 4), 4, False),
        ((4, None, 4, 4, 4), 4, True),
    ],
)
def test_three_jobs_in_a_row_that_were_queued_at_one_step_are_fruitless(
    queued_at: tuple[int | None, ...], step: int, fruitless: bool
) -> None:
    assert bool(RunFiles(("a", 1), Path("/a"), step, queued_at).fruitless) is fruitless


@pytest.fixture
def directory(tmp_path: Path) -> CampaignDirectory:
    """A campaign of two stages and two seeds, submitted and not begun."""
    found = CampaignDirectory(tmp_path / "trial")
    found.root.mkdir()
    file = write_campaign(tmp_path / "trial.yaml", {}, {}, seeds=[1, 2])
    (found.root / "campaign.yaml").write_text(file.read_text())
    for stage in "ab":
        for seed in (1, 2):
            SubmissionFolder(found.run(stage, seed)).path.mkdir(parents=True)
    return found


def test_a_plan_is_made_of_the_runs_files_and_left_for_the_script(directory: CampaignDirectory) -> None:
    state = directory.run("a", 2) / "state"
    state.mkdir()
    for step in (500, 1250):
        (state / f"checkpoint-e0002-s{step:09}-0001.json").touch()
    folder = SubmissionFolder(directory.run("a", 2))
    folder.note_queued(0, ["12_2"])
    (folder.path / "outcome").write_text("75\n1250\n")

    run = directory.run("b", 1)
    assert write_plan(run, queued=True).decision == "wait"

    assert read_run(directory, ("a", 2)) == RunFiles(("a", 2), directory.run("a", 2), 1250, (0,), 75)
    assert (run / "submission" / "plan").read_text().splitlines() == [
        "first withdraw",
        "first sbatch a 1 0",
        "first sbatch a 2 1250",
        "first sbatch b 1 - a/1 a/2",
        "first exit 75 waits for the stage before",
    ]
    write_plan(directory.run("a", 1), queued=True)
    assert (directory.run("a", 1) / "submission" / "plan").read_text() == "first run\n0 scancel a 1\n3 scancel a 1\n"


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a run of a campaign"):
        write_plan(tmp_path, queued=True)


def test_no_job_waits_for_torch_or_carla_to_have_its_plan() -> None:
    program = (
        "import json, sys, td3_hpc.launch.policy.start, td3_hpc.launch.policy.chain; print(json.dumps([*sys.modules]))"
    )

    loaded = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)

    assert not {"torch", "carla", "h5py"} & set(loaded)
