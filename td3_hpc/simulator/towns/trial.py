"""Trying a town where a crash harms nobody: in a process of its own, within limits of time and memory.

The client library crashes, or does not end, on some files that nothing here finds fault with. Which part of such a
file does it is searched for in that process, too: in copies of itself that read the file without some of its parts.
"""

import os
import resource
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from td3_hpc.code import run_module
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.roads.reading import parse_opendrive

CPU_S = 60
"""Processor time that a file may take; Town04, the largest here, takes two seconds."""
_WALL_S = 600.0  # On a machine that has other work.
_MEMORY_BYTES = 8 << 30  # Of addresses, most of them the libraries'.
_REFUSED = "REFUSED "
_SEARCH_S = 20  # Processor time of one attempt in a search.
_SEARCH_WALL_S = 120.0  # Of all attempts.

Attempt = Callable[[str, str], None]
"""Reads a town from a text and a source's name, as the simulator and its clients would. May end the process."""


def try_town(text: str, source: str) -> None:
    """Read a town in another process. Raises BadInput, naming `source` and, where it is found, what in it is wrong."""
    trial = [*run_module("td3_hpc.simulator.towns"), source]
    try:
        result = subprocess.run(trial, input=text.encode("utf-8", "replace"), capture_output=True, timeout=_WALL_S)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{source}: reading its roads takes too long; cut out those that are needed") from None
    said = result.stdout.decode("utf-8", "replace").splitlines()
    reason = next((line.removeprefix(_REFUSED) for line in reversed(said) if line.startswith(_REFUSED)), "")
    if reason:
        raise BadInput(reason)
    if result.returncode:
        last = (result.stderr.decode("utf-8", "replace").splitlines() or ["no reason given"])[-1]
        raise BadInput(f"{source}: its roads cannot be read ({last:.200})")


def run_trial(text: str, source: str, attempt: Attempt) -> int:
    """Be the other process: try, search where a copy has crashed, and say what came of it. Returns the exit status."""
    _limit(resource.RLIMIT_AS, _MEMORY_BYTES)
    outcome = _in_copy(text, source, attempt, CPU_S)
    if outcome.took_too_long:
        outcome = _Outcome(f"{source}: reading its roads takes more than {CPU_S} s; cut out those that are needed")
    elif outcome.crashed:
        part = _find_part(text, source, attempt)
        remedy = "correct it, or delete it" if part else "delete parts of it until it loads, to find which"
        outcome = _Outcome(f"{source}: the client library crashes on {part or 'its roads'}; {remedy}")
    if outcome.refusal:
        print(_REFUSED + " ".join(outcome.refusal.split()), flush=True)
    return ExitCode.BAD_INPUT if outcome.refusal else ExitCode.DONE


def _limit(what: int, most: int) -> None:
    """Limit this process and its copies, within what they are limited to already."""
    _, hard = resource.getrlimit(what)
    if hard == resource.RLIM_INFINITY:
        hard = most + 1
    resource.setrlimit(what, (min(most, hard), min(most + 1, hard)))


class _Outcome(NamedTuple):
    refusal: str = ""
    crashed: bool = False
    took_too_long: bool = False


def _in_copy(text: str, source: str, attempt: Attempt, cpu_s: int) -> _Outcome:
    """What comes of an attempt in a copy of this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _attempt_and_exit(text, source, attempt, cpu_s, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        refusal = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    if refusal or status == 0:
        return _Outcome(refusal)
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    return _Outcome(crashed=True, took_too_long=late)


def _attempt_and_exit(text: str, source: str, attempt: Attempt, cpu_s: int, writer: int) -> None:
    _limit(resource.RLIMIT_CPU, cpu_s)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        attempt(text, source)
    except BadInput as error:
        _tell(writer, str(error))
    except MemoryError:
        _tell(writer, f"{source}: reading its roads takes more than {_MEMORY_BYTES >> 30} GiB; cut out those needed")
    except Exception as error:  # whatever the file has led to: nobody's program must end by a file
        _tell(writer, f"{source}: its roads cannot be read ({type(error).__name__}: {error}); please report the file")
    os._exit(0)


def _tell(writer: int, message: str) -> None:
    with suppress(OSError):
        os.write(writer, message[:4000].encode("utf-8", "replace"))


# ---- which part of it -----------------------------------------------------------------------------------------------
#: Parts that can be left out, from the least to the most: (where, how one is called).
_PARTS: tuple[tuple[str, str], ...] = (
    ("road/objects", "the objects of road {road}"),
    ("road/signals/*", "signal {id} of road {road}"),
    ("controller", "controller {id}"),
    ("junction/connection", "connection {id} of junction {junction}"),
    ("junction", "junction {id}"),
    ("road", "road {id}"),
)


def _find_part(text: str, source: str, attempt: Attempt) -> str:
    """How the part is called without which the file would be read; empty where no single one is to blame."""
    root, until = parse_opendrive(text, source), time.monotonic() + _SEARCH_WALL_S

    def survives(parts: Sequence[ET.Element]) -> bool:
        gone = set(parts)
        outcome = _in_copy(_without(root, gone), source, attempt, _SEARCH_S)
        return not outcome.crashed

    for where, called in _PARTS:
        parts = root.findall(where)
        if not parts or time.monotonic() > until or not survives(parts):
            continue
        low, high = 0, len(parts)  # Without the first `high` parts it is read, without the first `low` it is not.
        while high - low > 1 and time.monotonic() < until:
            middle = (low + high) // 2
            low, high = (low, middle) if survives(parts[:middle]) else (middle, high)
        return _name(root, parts[high - 1], called) if high - low == 1 else ""
    return ""


def _without(root: ET.Element, gone: set[ET.Element]) -> str:
    def copied(element: ET.Element) -> ET.Element:
        copy = ET.Element(element.tag, element.attrib)
        copy.text = element.text
        copy.extend([copied(child) for child in element if child not in gone])
        return copy

    return ET.tostring(copied(root), encoding="unicode")


def _name(root: ET.Element, part: ET.Element, called: str) -> str:
    owner = next((e for kind in ("road", "junction") for e in root.findall(kind) if part in e.iter()), part)
    number = owner.get("id", "?")
    return called.format(id=part.get("id", "?"), road=number, junction=number)
