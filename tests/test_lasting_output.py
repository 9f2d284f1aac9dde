"""A command goes on where nobody takes what it writes."""

import os
import subprocess
import sys

import pytest

from tests.disks import fill_up, small_disk

WRITES = """
import sys
import rich.console
import typer
from td3_hpc.lasting_output import survive_lost_output
survive_lost_output()
for number in range(20000):
    print(number)
    typer.echo(number)
    rich.console.Console().print(number)
    typer.echo(number, err=True)
open(sys.argv[1], "w").write("done")
"""


def run_into(output, done):
    return subprocess.Popen([sys.executable, "-c", WRITES, done], stdout=output, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("lines", [0, 1])
def test_a_pipe_whose_reader_ends(tmp_path, lines):
    process = run_into(subprocess.PIPE, tmp_path / "done")
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert (tmp_path / "done").exists()


def test_a_terminal_that_hangs_up(tmp_path):
    ours, theirs = os.openpty()
    process = run_into(theirs, tmp_path / "done")
    os.close(theirs)
    os.read(ours, 10)
    os.close(ours)
    assert process.wait(60) == 0
    assert (tmp_path / "done").exists()


def test_a_log_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        with (disk / "log").open("wb") as log:
            fill_up(disk / "filler")
            assert run_into(log, tmp_path / "done").wait(60) == 0
        assert (tmp_path / "done").exists()


def test_what_is_taken_arrives(tmp_path):
    process = run_into(subprocess.PIPE, tmp_path / "done")
    output, _ = process.communicate(timeout=60)
    assert output.split() == [str(number).encode() for number in range(20000) for _ in range(4)]
    assert process.returncode == 0
