"""Which sealed rows lie in which files: the ones to keep, and the ranges of rows to write."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from td3_hpc.checkpoint.hdf5_file import Schema
from td3_hpc.checkpoint.manifest import Segment

#: Rows of one segment file: 75 MB of the driving task's rows.
SEGMENT_ROWS = 10_240
#: Segments of fewer rows at the end are written again as one, as soon as there are this many of them, or as soon as
#: they make one that is no longer small. So a row is written twice at most, but for saves of a few rows.
SMALL_ROWS = SEGMENT_ROWS // 2
MANY_SMALL = 16

Range = tuple[int, int]
"""First row, and the one after the last."""


class RowSource(Protocol):
    """A replay buffer, as far as a checkpoint needs it: rows below `sealed_row` never change.

    Rows below `first_row`, which grows from another thread, are overwritten; it is raised before they are.
    """

    @property
    def schema(self) -> Schema: ...

    @property
    def first_row(self) -> int: ...

    @property
    def sealed_row(self) -> int: ...

    def read_rows(self, start: int, stop: int) -> Mapping[str, np.ndarray]: ...


def plan(
    old: Sequence[Segment], first_row: int, next_row: int, is_there: Callable[[Segment], bool]
) -> list[Segment | Range]:
    """The segments to keep, and the ranges to write, which together hold the rows from `first_row` to `next_row`.

    What the ring has overwritten is left out; the rows of a file that has gone are written again, as long as the
    buffer has them.
    """
    parts: list[Segment | Range] = []
    for segment in old:
        if segment.next_row > first_row:
            parts.append(segment if is_there(segment) else (max(segment.first_row, first_row), segment.next_row))
    end = _bounds(parts[-1])[1] if parts else first_row
    if end < next_row:
        parts.append((end, next_row))
    return parts


def merged(parts: Sequence[Segment | Range], first_row: int) -> list[Segment | Range]:
    """The same rows, with many small segments at the end as one range; the parts themselves where there are few."""
    start = len(parts)
    while start and _rows(parts[start - 1]) < SMALL_ROWS and _bounds(parts[start - 1])[0] >= first_row:
        start -= 1
    small = parts[start:]
    if len(small) < MANY_SMALL and (len(small) < 2 or sum(map(_rows, small)) < SMALL_ROWS):
        return list(parts)
    return [*parts[:start], (_bounds(small[0])[0], _bounds(small[-1])[1])]


def pieces(part: Range) -> Iterator[Range]:
    """A range in pieces of at most one segment's rows."""
    for begin in range(*part, SEGMENT_ROWS):
        yield begin, min(begin + SEGMENT_ROWS, part[1])


def _bounds(part: Segment | Range) -> Range:
    return (part.first_row, part.next_row) if isinstance(part, Segment) else part


def _rows(part: Segment | Range) -> int:
    first, after = _bounds(part)
    return after - first
