"""The server's log: real processes that write more than it may hold."""

import os
import subprocess
import time

from td3_hpc.supervision.server_log import ServerLog

LIMIT = 1 << 16


def test_a_flood_stays_within_the_limit_and_keeps_its_end(tmp_path):
    log = ServerLog(tmp_path / "server.log", LIMIT)
    with log.begin() as file:
        flood = "for i in {1..40000}; do echo line $i; done; sleep 0.3; echo the end"
        process = subprocess.Popen(["bash", "-c", flood], stdout=file)
    sizes = []
    while process.poll() is None:
        log.trim()
        sizes.append(log.path.stat().st_size)
        time.sleep(0.001)
    log.trim()
    assert sum(size > 0 for size in sizes) > 0
    assert log.path.stat().st_size <= LIMIT
    assert "[earlier lines dropped" in log.path.read_text()  # a line written while trimming may stand before it
    assert log.last_lines(1) == ["the end"]


def test_a_short_log_is_left_alone(tmp_path):
    log = ServerLog(tmp_path / "server.log", LIMIT)
    with log.begin() as file:
        file.write(b"one\n\n  two  \n")
    log.trim()
    assert log.path.read_bytes() == b"one\n\n  two  \n"
    assert log.last_lines() == ["one", "two"]


def test_three_generations_are_kept(tmp_path):
    log = ServerLog(tmp_path / "logs" / "server.log")
    for generation in range(1, 6):
        with log.begin() as file:
            file.write(f"generation {generation}".encode())
    contents = {path.name: path.read_text() for path in log.path.parent.iterdir()}
    assert contents == {
        "server.log": "generation 5",
        "server.1.log": "generation 4",
        "server.2.log": "generation 3",
    }


def test_no_log_has_no_last_lines(tmp_path):
    log = ServerLog(tmp_path / "server.log")
    log.trim()
    assert log.last_lines() == []
    assert os.listdir(tmp_path) == []


def test_last_lines_of_binary_rubbish_are_readable(tmp_path):
    log = ServerLog(tmp_path / "server.log")
    log.path.write_bytes(b"\xff\xfe\x00" * 20_000 + b"\nend\n")
    assert log.last_lines()[-1] == "end"
    assert all(len(line) <= 300 for line in log.last_lines())
