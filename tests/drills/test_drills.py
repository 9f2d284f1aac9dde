"""The drills: the quick ones in CI, all of them in the long tests. And that a drill can fail."""

import socket
import threading

import pytest

from td3_hpc.drills.drill import DRILLS, Caught, Drill, NotCaught, NotHere
from td3_hpc.drills.drill_list import load_drills
from td3_hpc.drills.proxy import Proxy
from td3_hpc.drills.table import chosen, markdown, run_drill
from td3_hpc.errors import BadInput

load_drills()
QUICK = ("learning-never-starts", "nan-in-training")
KNOWN_FAILURES = {
    "learning-never-starts",
    "wrong-state-dimension",
    "evaluation-never-returns",
    "gradient-explosion",
    "learns-nothing",
    "sees-nothing",
    "nan-in-training",
    "nan-in-checkpoint",
    "checkpoint-cut",
    "flipped-byte",
    "simulator-killed",
    "simulator-hangs",
    "preempted-exploring",
    "preempted-learning",
    "preempted-evaluating",
    "preempted-saving",
    "node-lost",
    "disk-full",
    "two-jobs",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Shared, so that the undisturbed run is made once."""
    return tmp_path_factory.mktemp("drills")


@pytest.mark.parametrize("name", QUICK)
def test_it_is_caught(workspace, name):
    result = run_drill(DRILLS[name], workspace)
    assert result.status == "caught", result.by


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(KNOWN_FAILURES - {*QUICK}))
def test_it_is_caught_too(workspace, name):
    result = run_drill(DRILLS[name], workspace)
    if result.status == "not here":
        pytest.skip(result.by)
    assert result.status == "caught", result.by


def test_every_known_failure_has_its_drill():
    assert DRILLS.keys() >= KNOWN_FAILURES
    assert [drill.name for drill in chosen([])] == list(DRILLS)


def test_a_name_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(BadInput, match=r"no drill 'flipped'; there are .*flipped-byte"):
        chosen(["flipped"])


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotCaught("went on"), "NOT CAUGHT"), (NotHere("no Slurm"), "not here"), (OSError("no fork"), "NOT CAUGHT")],
)
def test_what_was_not_caught_is_said(tmp_path, error, status):
    def run(_):
        raise error

    result = run_drill(Drill("d", "it | breaks", "by hand", run), tmp_path)
    assert result.status == status
    assert str(error) in result.by
    assert f"{status}: " in markdown([result])


def test_the_table_is_markdown(tmp_path):
    result = run_drill(Drill("d", "a | b", "c", lambda _: Caught("d", "1 s")), tmp_path)
    assert markdown([result]).splitlines() == [
        "| drill | failure | how it was caused | what caught it | how soon |",
        "| --- | --- | --- | --- | --- |",
        "| `d` | a \\| b | c | d | 1 s |",
    ]


def test_the_command_lists_them_and_refuses_others(told_here):
    listed = told_here("drill", "--list")
    assert [line.partition(":")[0] for line in listed.stdout.splitlines()] == list(DRILLS)
    refused = told_here("drill", "nonsense")
    assert (refused.returncode, "no drill 'nonsense'" in refused.stderr) == (2, True)


def test_the_proxy_passes_everything_on_until_it_swallows():
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1])
        try:
            client = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
            behind, _ = server.accept()
            answer = threading.Thread(target=lambda: behind.sendall(behind.recv(5).upper()))
            answer.start()
            client.sendall(b"hello")
            assert client.recv(5) == b"HELLO"
            answer.join()

            assert proxy.swallow() == 1
            behind.sendall(b"lost")
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.recv(4)
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as again:
                behind_again, _ = server.accept()
                behind_again.sendall(b"anew")
                assert again.recv(4) == b"anew", "a connection made afterwards is served"
                behind_again.close()
            client.close()
            behind.close()
        finally:
            proxy.close()
