import threading
from functools import partial

import pytest

from td3_hpc.record import RunRecord, SimulatorChanged, read_events
from td3_hpc.training.env_slot import side_by_side


def test_calls_are_made_at_once_and_each_has_an_end_of_its_own():
    together = threading.Barrier(3, timeout=10)

    def call(number):
        together.wait()  # passes only where all three are under way
        if number == 1:
            raise ValueError(number)
        return number

    results = side_by_side([partial(call, number) for number in range(3)])
    assert (results[0].result(), results[2].result()) == (0, 2)
    with pytest.raises(ValueError, match="1"):
        results[1].result()
    assert side_by_side([]) == []


def test_what_simulators_say_at_once_stands_in_whole_lines(tmp_path):
    record = RunRecord(tmp_path)
    record.open()

    def talk(number):
        for line in range(200):
            record.append(
                SimulatorChanged(purpose="training", state="ready", simulator=number, pid=line, detail="x" * 500)
            )

    for result in side_by_side([partial(talk, number) for number in range(8)]):
        result.result()
    record.close()
    written = [(event.simulator, event.pid) for event in read_events(record.path, SimulatorChanged)]
    assert sorted(written) == [(number, line) for number in range(8) for line in range(200)]
