import os
import signal

import pytest

from td3_hpc.training.signals import STOP_SIGNALS, StopFlag


@pytest.mark.parametrize("number", STOP_SIGNALS, ids=lambda number: number.name)
def test_each_stop_signal_sets_the_flag_and_names_itself(number):
    with StopFlag() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop
        assert stop.signal_name == number.name


def test_the_previous_handlers_return_afterwards():
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with StopFlag():
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == before


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopFlag() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
