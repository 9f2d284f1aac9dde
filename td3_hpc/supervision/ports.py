"""Blocks of three TCP ports for a simulator, and who listens on them.

A job reserves its block by binding abstract Unix sockets named after the ports. They live in the network namespace that
the ports live in, whatever /tmp the job sees, belong to no user, and vanish with the process: no file can go stale.
"""

import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from td3_hpc.errors import BadInput, UserError

BLOCK = 3  # N: RPC, N+1: streams, N+2: secondary servers (CARLA opens it even where there are none)
_LOWEST, _USUAL_END = 20_000, 32_768
_ENOUGH = 1_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LISTEN = "0A"


class PortBlock:
    """A reserved block; other supervisors on this machine keep off it until it is closed or the process ends."""

    def __init__(self, first: int, locks: list[socket.socket]) -> None:
        self.first = first
        self._locks = locks

    def close(self) -> None:
        """Give the block back."""
        for lock in self._locks:
            lock.close()


def reserve(port: int) -> PortBlock:
    """Reserve the block that starts at `port`, or any free one for 0.

    Raises BadInput, naming the process in the way, where a wanted port is taken.
    """
    if port:
        locks = _lock(port)
        if locks is None:
            raise BadInput(f"port {port} or one of the two above it is reserved by another td3-hpc job; {_REMEDY}")
        block = PortBlock(port, locks)
        taken = first_taken(port)
        if taken is not None:
            block.close()
            raise BadInput(f"port {taken} is in use{describe_listener(taken)}; {_REMEDY}")
        return block
    candidates = list(range(_LOWEST, _end_of_candidates() - BLOCK, BLOCK))
    random.SystemRandom().shuffle(candidates)  # two jobs that start at once rarely try the same block
    for first in candidates:
        locks = _lock(first)
        if locks is None:
            continue
        if first_taken(first) is None:
            return PortBlock(first, locks)
        PortBlock(first, locks).close()
    raise UserError(f"no three free ports in a row between {_LOWEST} and {_end_of_candidates()}; set simulator.port")


_REMEDY = "set simulator.port to 0 to let a free one be found, or to another number"


def first_taken(first: int) -> int | None:
    """The first port of the block that nothing new could listen on, or None."""
    for port in range(first, first + BLOCK):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's rest is no obstacle
            try:
                probe.bind(("", port))
            except OSError:
                return port
    return None


def listens(port: int, processes: Iterable[int]) -> bool | None:
    """Whether one of the processes listens on the port: None while nobody does.

    Where a process hides its files (another user's view of /proc), the socket's user decides.
    """
    sockets = _listening_sockets(port)
    if not sockets:
        return None
    hidden = False
    for pid in processes:
        owned = _socket_inodes(pid)
        if owned is None:
            hidden = True
        elif owned & sockets.keys():
            return True
    return hidden and os.getuid() in sockets.values()


def describe_listener(port: int) -> str:
    """' by pid 12 (name)' for the process that listens on the port, '' where it cannot be seen."""
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            try:
                return f" by pid {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.Error:
                return f" by pid {connection.pid}"
    return ""


def _lock(first: int) -> list[socket.socket] | None:
    locks: list[socket.socket] = []
    for port in range(first, first + BLOCK):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0td3-hpc-port-{port}")
        except OSError:
            for taken in [*locks, lock]:
                taken.close()
            return None
        locks.append(lock)
    return locks


def _end_of_candidates() -> int:
    """Blocks end below this port. Those from it on are handed out to outgoing connections, so that a server may lose
    them at any time; where a machine hands out nearly all there are, that is put up with."""
    try:
        first = int(_EPHEMERAL.read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_END
    return first if first >= _LOWEST + _ENOUGH else _USUAL_END


def _listening_sockets(port: int) -> dict[int, int]:
    """{inode: user id} of the sockets that listen on the port."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="utf-8").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found[int(fields[9])] = int(fields[7])
    return found


def _socket_inodes(pid: int) -> set[int] | None:
    """Inodes of the sockets that a process holds; None where they may not be seen."""
    inodes = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    except PermissionError:
        return None
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return inodes
