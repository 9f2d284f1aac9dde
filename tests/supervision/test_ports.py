"""Port blocks: real sockets, real processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.supervision import ports

HOLD = "from td3_hpc.supervision import ports; block = ports.reserve(0); print(block.first, flush=True); input()"


@pytest.fixture
def block():
    block = ports.reserve(0)
    yield block
    block.close()


def test_a_block_is_free_and_below_the_ephemeral_ports(block):
    assert ports.first_taken(block.first) is None
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert 1024 < block.first <= lowest_ephemeral - 3


@pytest.mark.parametrize("handed_out", ["1024\t65535", "20100 60999", "nonsense"])
def test_where_nearly_all_ports_are_handed_out_a_block_is_found_all_the_same(tmp_path, monkeypatch, handed_out):
    (tmp_path / "range").write_text(handed_out)
    monkeypatch.setattr(ports, "_EPHEMERAL", tmp_path / "range")
    block = ports.reserve(0)
    block.close()
    assert 20_000 <= block.first < 32_768


def test_blocks_never_overlap():
    blocks = [ports.reserve(0) for _ in range(50)]
    try:
        taken = [block.first + offset for block in blocks for offset in range(3)]
        assert len(set(taken)) == 150
    finally:
        for block in blocks:
            block.close()


@pytest.mark.parametrize("offset", [-2, 0, 2])
def test_a_block_reserved_by_another_job_is_refused_until_that_job_ends(offset):
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        first = int(holder.stdout.readline())
        with pytest.raises(BadInput, match="reserved by another td3-hpc job"):
            ports.reserve(first + offset)
    finally:
        holder.kill()
        holder.communicate()
    ports.reserve(first + offset).close()


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_port_in_use_is_refused_and_its_user_named(block, offset):
    first = block.first
    block.close()
    in_use = rf"port {first + offset} is in use by pid {os.getpid()} \("
    with socket.create_server(("127.0.0.1", first + offset)), pytest.raises(BadInput, match=in_use):
        ports.reserve(first)
    ports.reserve(first).close()


def test_a_port_whose_last_connection_has_just_closed_is_free(block):
    with socket.create_server(("127.0.0.1", block.first)) as listener:
        client = socket.create_connection(("127.0.0.1", block.first))
        connection, _ = listener.accept()
        connection.close()  # the server closes first, so its end waits out TIME_WAIT
        client.close()
    assert ports.first_taken(block.first) is None


def test_who_listens(block):
    other = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    assert ports.listens(block.first, [os.getpid()]) is None
    with socket.create_server(("127.0.0.1", block.first)):
        assert ports.listens(block.first, [os.getpid()]) is True
        assert ports.listens(block.first, [other.pid]) is False
        assert ports.listens(block.first, []) is False
    other.communicate()
