"""Pieces of the job's script, run: what it does where Python cannot be asked."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.jobs.lock import PATIENCE_S
from td3_hpc.launch.jobs.script import render
from td3_hpc.launch.policy.end import Again, plan_end
from td3_hpc.submission_folder import SubmissionFolder
from tests.launch.jobs.test_script import script
from tests.launch.site import Site


def part(text: str, first: str, last: str) -> str:
    """A script from one piece of text up to another one."""
    start = text.index(first)
    return text[start : text.index(last, start)]


@pytest.mark.parametrize(
    ("srun", "status", "starts"),
    [
        ('[ "$count" -lt 3 ] && exit 1; "${@:4}"', 0, 3),  # the controller is back
        ("exit 1", 75, 6),  # it is not: left to the next attempt
        ('[ "$count" -lt 2 ] || "${@:4}"', 0, 2),  # an answer that means nothing
        ('"${@:4}"; exit 1', 1, 1),
        ("exit 143", 143, 1),
        ("kill -USR1 $$; exit 1", 75, 1),  # told to stop meanwhile
    ],
)
def test_a_step_that_never_began_is_tried_again(tmp_path: Path, srun: str, status: int, starts: int) -> None:
    text = script()
    steps = part(text, "began=$scratch", "state=$(job_state")
    traps = part(text, "told=\n", "step=$(newest_step)")
    stubs = f"""set -u; scratch={tmp_path} config=/c run=/r python=(true)
say() {{ :; }}; sleep() {{ :; }}
srun() {{ (count=$(($(wc -l <{tmp_path}/starts) + 1)); echo >>{tmp_path}/starts; {srun}); }}
"""
    (tmp_path / "starts").touch()

    result = subprocess.run(
        ["bash", "-c", f"{stubs}{traps}{steps}exit $status"], capture_output=True, text=True, timeout=60
    )

    assert (result.returncode, result.stderr) == (status, "")
    assert len((tmp_path / "starts").read_text().splitlines()) == starts


@pytest.mark.parametrize("changes", [{}, {"requeue": "chain"}, {"scheduler": "local"}])
def test_what_follows_each_exit_status_stands_in_the_script_before_anything_starts(changes: dict[str, Any]) -> None:
    """As td3_hpc/launch/policy/end.py says it; tests/launch/policy/test_end.py says what is right."""
    text = script(**changes)
    again: Again = "by hand" if changes.get("scheduler") else "chain" if changes else "requeue"

    rows = part(text, "plan=(\n", ")\n").splitlines()[1:]

    assert [row.strip().strip('"') for row in rows] == plan_end(again).lines()
    assert text.index("plan=(\n") < text.index("-m td3_hpc train")


@pytest.mark.parametrize(
    ("status", "judged", "expected"),
    [
        (0, True, "carry out 0"),
        (0, False, "carry out unjudged"),
        (75, False, "carry out 75"),
        (
            134,
            False,
            "carry out 134; finish 134 failed with exit status 134; see above, and submit the stage again to continue",
        ),
    ],
)
def test_the_steps_exit_status_is_looked_up(tmp_path: Path, status: int, judged: bool, expected: str) -> None:
    end = script()[script().rindex("state=$(job_state)") :]
    if judged:
        (tmp_path / "verdict.json").touch()
    stubs = f"""set -u; run={tmp_path} status={status}
job_state() {{ echo RUNNING; }}; finish() {{ echo "finish $*"; exit; }}
carry_out() {{ echo "carry out $1"; [ {status} = 134 ] || exit; }}
"""

    result = subprocess.run(["bash", "-c", stubs + end], capture_output=True, text=True)

    assert "; ".join(result.stdout.splitlines()) == expected, result.stderr


@pytest.mark.parametrize(
    ("attempts", "goes_on"),
    [
        pytest.param("7 0\n7 0\n", True, id="two at this step"),
        pytest.param("7 0\n7 0\n7 0\n", False, id="three"),
        pytest.param("7 5\n7 0\n7 0\n", True, id="one got back to where it began"),
        pytest.param("6 0\n7 0\n7 0\n", True, id="one of another job"),
        pytest.param("7 0\n7 0\n7 0\nsubmitted again\n", True, id="submitted again since"),
    ],
)
def test_three_attempts_in_a_row_that_get_no_further_are_the_last(tmp_path: Path, attempts: str, goes_on: bool) -> None:
    start = part(script(), "step=$(newest_step)", "if ! stamp=")
    stubs = f"""set -u; run=/r history={tmp_path}/attempts job=7 fruitless_attempts=3
newest_step() {{ echo 0; }}; finish() {{ echo "finish $*"; exit; }}
"""
    (tmp_path / "attempts").write_text(attempts)

    result = subprocess.run(["bash", "-c", f"{stubs}{start}"], capture_output=True, text=True)

    assert result.stdout == ("" if goes_on else "finish 1 3 attempts got no further than step 0; see /r/logs\n")
    assert (tmp_path / "attempts").read_text() == attempts + ("7 0\n" if goes_on else ""), result.stderr


def test_the_jobs_of_a_chain_queue_what_the_site_did_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = script(requeue="chain")
    topping_up = part(text, "# A command of Slurm's", "job_state()") + part(text, "# What the site did", "if ! stamp=")
    assert "owed" not in script()
    site = Site(tmp_path, monkeypatch, max_jobs=1, banner="Welcome\n")
    folder = SubmissionFolder(tmp_path / "run")
    folder.path.mkdir(parents=True)
    folder.write_notes({"jobs": ["7", "8"]})
    program = f'set -u; run={folder.owner} step=40; say() {{ echo "$*"; }}\n{topping_up}'

    def start() -> list[str]:
        return subprocess.run(["/bin/bash", "-c", program], capture_output=True, text=True).stdout.splitlines()

    assert start() == []
    folder.owe(3)
    no_room = "no room yet for the chain's next job; 2 are to come"
    assert start() == ["queued job 1000 of the chain; 2 are to come", no_room]
    assert folder.jobs() == ["7", "8", "1000"]
    site.answer(max_jobs=5)
    assert start()[-1] == "queued job 1002 of the chain; 0 are to come"
    assert start() == []
    folder.owe(3)
    folder.cancel()
    assert start() == []
    assert site.calls("sbatch")[-1] == ["sbatch", "--parsable", str(folder.script())]


def test_a_job_that_another_one_queues_inherits_neither_its_scratch_nor_its_restart_count(tmp_path: Path) -> None:
    """Slurm makes the folder of TMPDIR wherever a job begins, and nobody removes it."""
    sbatch, seen = tmp_path / "sbatch", tmp_path / "seen"
    sbatch.write_text(f"#!/bin/bash\nenv >{seen}\necho 7\n")
    sbatch.chmod(0o755)
    program = part(script(requeue="chain"), "# A command of Slurm's", "job_state()") + "queue_job x; echo $TMPDIR"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path), "SLURM_RESTART_COUNT": "2"}

    result = subprocess.run(["/bin/bash", "-c", program], env=environment, capture_output=True, text=True)

    assert result.stdout == f"7\n{tmp_path}\n", result.stderr
    assert not {line.partition("=")[0] for line in seen.read_text().splitlines()} & {"TMPDIR", "SLURM_RESTART_COUNT"}


@pytest.mark.parametrize(("step", "goes_on"), [(1000, False), (600, True)])
def test_a_chain_goes_on_where_the_checkpoints_do_not_reach_as_far_as_the_noted_end(
    tmp_path: Path, step: int, goes_on: bool
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / f"checkpoint-e0001-s{step:09}-0001.json").touch()
    (tmp_path / "outcome").write_text("3\n1000\n")
    text = script(requeue="chain")
    function, case = text.index("newest_step() {"), text.index("case $(head")
    parts = [
        text[function : text.index("\n}\n", function) + 3],
        text[case : text.index("esac\n", case)] + "esac",
        "echo goes on",
    ]
    program = "\n".join(["set -u", f"run={tmp_path}", "outcome=$run/outcome", 'say() { echo "$*"; }', *parts])

    result = subprocess.run(["bash", "-c", program], capture_output=True, text=True)

    assert ("newest checkpoint is of step 600, which counts" in result.stdout) == goes_on, result.stdout + result.stderr
    assert result.stdout.endswith("goes on\n" if goes_on else "the stage ended already\n")
    assert result.returncode == (0 if goes_on else 3)


def test_processes_without_a_job_have_a_scratch_each_and_clear_away_those_of_the_dead(tmp_path: Path) -> None:
    text = script(scheduler="local")
    own = part(text, "# Without a job", "trap 'rm -rf")
    program = f"set -u; node=n1 attempt=0 scratch={tmp_path}; node_lacks() {{ exit 9; }}; {own} echo $scratch; read -r"
    start = ["bash", "-c", program]
    first, second = (
        subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    )
    assert first.stdout is not None
    assert second.stdout is not None
    folders = [Path(process.stdout.readline().strip()) for process in (first, second) if process.stdout]
    assert len({*folders}) == 2
    assert all(folder.is_dir() for folder in folders), "the second has taken the first's away"
    for process in (first, second):
        process.kill()
        process.communicate()

    third = subprocess.run(start, input="\n", capture_output=True, text=True)

    assert sorted(tmp_path.iterdir()) == [Path(third.stdout.strip())], third.stderr


@pytest.mark.parametrize("touched", [True, False], ids=["of a holder at work", "left by a killed job"])
def test_a_jobs_lock_is_waited_for_while_it_is_touched_and_else_taken_over(tmp_path: Path, touched: bool) -> None:
    text = render("a", ClusterConfig(), tmp_path, None, campaign="trial")
    functions = part(text, "lock=\nunder_lock", "# What could not be queued")
    functions = functions.replace(f"-ge {2 * int(PATIENCE_S)}", "-ge 6")
    lock = tmp_path / "submission" / "lock"
    lock.mkdir(parents=True)
    at_work = f"(for i in {{1..40}}; do touch -d @$i {lock}; command sleep 0.1; done; rm -rf {lock}) &"
    program = f"""set -u; campaign={tmp_path} job=7 scratch={tmp_path}/scratch; say() {{ echo "$*"; }}
read_queue() {{ :; }}; sleep() {{ command sleep 0.1; }}
{functions}
{at_work if touched else ""}
under_lock; echo "waited $SECONDS"; [ -d {lock} ] && unlock; ls {tmp_path}/submission
"""

    result = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60)

    said, waited = result.stdout.splitlines()
    assert said == f"{lock}: somebody else queues jobs; waits", result.stderr
    assert (int(waited.split()[1]) >= 4) == touched
    assert not list((tmp_path / "submission").iterdir())
