"""Lets a program built for a newer glibc start on an older one, where only C23's number parsers stand in the way.

Against glibc 2.38 and later, GCC compiles calls of strtol and its kin to __isoc23_strtol@GLIBC_2.38, which differ from
the plain ones only in reading "0b101" as a binary number. Such a symbol's name ends in the plain name, so pointing
its entry 9 characters further, and at an old version, is all it takes. ELF structures: see elf(5).
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

C23_PREFIX = "__isoc23_"
C23_PARSER = re.compile(C23_PREFIX + r"strto(l|ul|ll|ull|imax|umax)")
GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
OLDEST = "GLIBC_2.2.5"  # glibc's first version on x86-64
DYNSYM, VERNEED, VERSYM = 11, 0x6FFFFFFE, 0x6FFFFFFF


class TooNew(Exception):
    """The program needs something else of a newer glibc; names it."""


@dataclass(frozen=True)
class NeededVersion:
    """One version of a library's symbols that the program needs, and where its record stands in the file."""

    name: str
    soname: str
    record: int

    @property
    def is_libc(self) -> bool:
        """Whether it is the C library's, whatever the number of its interface."""
        return self.soname.partition(".")[0] == "libc"


def is_elf(path: Path) -> bool:
    """Whether the file is a 64-bit little-endian ELF file."""
    with path.open("rb") as file:
        return file.read(6) == b"\x7fELF\x02\x01"


def retarget(path: Path, glibc: tuple[int, int]) -> int:
    """Rewrite an ELF file in place to run on this glibc; returns how many symbols changed. Raises TooNew."""
    data = bytearray(path.read_bytes())
    sections = _sections(data)
    if not {DYNSYM, VERNEED, VERSYM} <= sections.keys():
        return 0
    symbols, versions = sections[DYNSYM], sections[VERSYM]
    names = _sections_by_index(data)[symbols["link"]]["offset"]
    needed = _needed_versions(data, sections[VERNEED]["offset"], names)
    too_new = {index for index, version in needed.items() if _newer(version.name, glibc)}
    if not too_new:
        return 0
    oldest = next(i for i, version in needed.items() if version.name == OLDEST and version.is_libc)
    changed = 0
    for number in range(symbols["size"] // 24):
        symbol, version_at = symbols["offset"] + 24 * number, versions["offset"] + 2 * number
        version_index = struct.unpack_from("<H", data, version_at)[0] & 0x7FFF
        if version_index not in too_new:
            continue
        (name_at,) = struct.unpack_from("<I", data, symbol)
        name = _text(data, names + name_at)
        if not C23_PARSER.fullmatch(name):
            raise TooNew(f"{path.name} needs {name}@{needed[version_index].name}")
        struct.pack_into("<I", data, symbol, name_at + len(C23_PREFIX))
        struct.pack_into("<H", data, version_at, oldest)
        changed += 1
    # The loader checks every needed version's record, used or not: the new ones become copies of the oldest.
    version_hash, _, _, version_name = struct.unpack_from("<IHHI", data, needed[oldest].record)
    for index in too_new:
        struct.pack_into("<I", data, needed[index].record, version_hash)
        struct.pack_into("<I", data, needed[index].record + 8, version_name)
    path.write_bytes(data)
    return changed


def _sections_by_index(data: bytearray) -> list[dict[str, int]]:
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    keys = ("name", "type", "flags", "address", "offset", "size", "link", "info", "alignment", "entry_size")
    rows = (struct.unpack_from("<IIQQQQIIQQ", data, table + number * size) for number in range(count))
    return [dict(zip(keys, row)) for row in rows]


def _sections(data: bytearray) -> dict[int, dict[str, int]]:
    return {section["type"]: section for section in _sections_by_index(data)}


def _needed_versions(data: bytearray, offset: int, names: int) -> dict[int, NeededVersion]:
    found: dict[int, NeededVersion] = {}
    while True:
        _, count, library, first, following = struct.unpack_from("<HHIII", data, offset)
        record = offset + first
        for _ in range(count):
            _, _, index, name, step = struct.unpack_from("<IHHII", data, record)
            found[index] = NeededVersion(_text(data, names + name), _text(data, names + library), record)
            record += step
        if following == 0:
            return found
        offset += following


def _newer(version: str, glibc: tuple[int, int]) -> bool:
    match = GLIBC.fullmatch(version)
    return match is not None and (int(match[1]), int(match[2])) > glibc


def _text(data: bytearray, offset: int) -> str:
    return bytes(data[offset : data.index(0, offset)]).decode()
