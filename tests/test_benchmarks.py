"""The benchmarks' own machinery; what they measure is not asserted here."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.learning.screen import PACKAGE, read_screening
from benchmarks.pairs import Measurement, measure


def prepared() -> tuple:
    return lambda: time.sleep(0.001), {"pid": float(os.getpid())}


def benchmarks(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_every_benchmark_is_listed_with_what_it_measures():
    lines = benchmarks("--list").stdout.splitlines()
    assert {"td3_update", "replay"} <= {line.partition(": ")[0] for line in lines}
    assert all(line.partition(": ")[2] for line in lines)


def test_an_unknown_name_is_refused_with_those_there_are():
    result = benchmarks("td3_updates")
    assert result.returncode == 2
    assert "no benchmark 'td3_updates'; there are" in result.stderr


def test_peers_run_in_processes_of_their_own_and_equally_often():
    results = measure({"one": prepared, "other": prepared}, threads=1, rounds=3)
    assert len({os.getpid(), *(result.facts["pid"] for result in results.values())}) == 3
    assert [len(result.seconds) for result in results.values()] == [3, 3]
    assert all(seconds >= 0.001 for result in results.values() for seconds in result.seconds)


def test_ratio_is_the_median_over_rounds():
    fast = Measurement([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], {})
    slow = Measurement([3.0, 4.0, 20.0], [2.0, 2.0, 3.0], {})
    assert fast.median == 2
    assert fast.ratio_to(slow)[1] == 3
    assert fast.processor_ratio_to(slow)[1] == 2


@pytest.mark.parametrize("name", ["verdicts", "mends"])
def test_every_fault_of_a_screening_can_be_planted(name: str):
    screening = read_screening(Path(__file__).parent.parent / f"benchmarks/learning/{name}.yaml")
    faults = [(case.name, fault) for case in screening.cases for fault in case.faults]
    assert len(faults) >= 4
    times = {(name, fault.old): (PACKAGE.parent / fault.file).read_text().count(fault.old) for name, fault in faults}
    assert times == dict.fromkeys(times, 1), "the code that a fault replaces has changed"
