"""Scripts in the foreground: exit status, signals, the lock that they inherit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs.foreground import exclusive_lock, is_held, run_script
from tests.paths import ROOT
from tests.processes import wait_until_gone
from tests.slurm.cluster import wait_until


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_exit_status_is_the_scripts_and_it_sees_the_environment(tmp_path: Path) -> None:
    assert run_script(write(tmp_path / "s", "exit $WANTED"), {"WANTED": "75"}) == 75
    assert run_script(write(tmp_path / "s", "kill -KILL $$")) == 128 + signal.SIGKILL


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stop_signal_reaches_what_the_script_runs_and_is_waited_for(tmp_path: Path, name: str) -> None:
    """The script outlives the signal, as a job's does; the program in it saves and ends with 75."""
    program = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(75)); print('up', flush=True); time.sleep(60)"
    )
    script = write(tmp_path / "s", f'trap : TERM\n"{sys.executable}" -c "{program}"; echo "ended with $?"; exit 7\n')
    driver = f"from td3_hpc.launch.jobs.foreground import *; raise SystemExit(run_script(Path({str(script)!r})))"
    process = subprocess.Popen([sys.executable, "-c", driver], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"

    process.send_signal(getattr(signal, name))

    output, _ = process.communicate(timeout=30)
    assert output == "ended with 75\n"
    assert process.returncode == 7


def test_a_script_goes_on_where_nobody_reads_what_it_writes(tmp_path: Path) -> None:
    """As where Ctrl-C ends the `tee` that it wrote to."""
    script = write(tmp_path / "s", f"for n in 1 2 3; do echo $n; done; touch {tmp_path}/end; exit 7\n")
    driver = (
        "from td3_hpc.launch.jobs.foreground import *\n"
        f"status = run_script(Path({str(script)!r})); print(status); raise SystemExit(status)"
    )
    process = subprocess.Popen([sys.executable, "-c", driver], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 7
    assert (tmp_path / "end").exists()


def test_what_nohup_ignores_is_not_passed_on(tmp_path: Path) -> None:
    script = write(tmp_path / "s", "echo up; sleep 1; exit 7\n")
    driver = (
        "from td3_hpc.launch.jobs.foreground import *; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        f"raise SystemExit(run_script(Path({str(script)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", driver], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 7


def test_only_one_process_holds_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_held(lock)
    with exclusive_lock(lock, "busy"):
        assert is_held(lock)
        with pytest.raises(BadInput, match="busy"), exclusive_lock(lock, "busy"):
            pass
    assert not is_held(lock)


def test_a_script_that_outlives_its_killed_driver_still_holds_the_lock(tmp_path: Path) -> None:
    lock, script = (
        tmp_path / "lock",
        write(tmp_path / "s", f"echo $$ >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 60\n"),
    )
    driver = (
        "from td3_hpc.launch.jobs.foreground import *\n"
        f"with exclusive_lock(Path({str(lock)!r}), 'busy') as held: run_script(Path({str(script)!r}), keep_open=[held])"
    )
    process = subprocess.Popen([sys.executable, "-c", driver], cwd=ROOT)
    wait_until((tmp_path / "pid").exists, 30)
    process.kill()
    process.wait()
    left = psutil.Process(int((tmp_path / "pid").read_text()))

    assert is_held(lock)
    os.killpg(left.pid, signal.SIGKILL)
    assert wait_until_gone([left]) == []
    wait_until(lambda: not is_held(lock), 10)
