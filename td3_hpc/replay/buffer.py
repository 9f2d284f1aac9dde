"""A replay buffer for stacked camera images that stores each frame once and rebuilds the stacks when sampling."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.random_state import generator_state, load_generator_state
from td3_hpc.replay.rows import (
    AGE_SHIFT,
    FINAL,
    KIND,
    PENDING,
    SCHEMA,
    STACK,
    TERMINATED,
    TRANSITION,
    TRUNCATED,
    Rows,
)

Observation = Mapping[str, NDArray[Any]]
"""`image` (4, 84, 84) uint8, oldest frame first, and `vector` (53,) float32."""


@dataclass(frozen=True)
class Batch:
    """B transitions drawn from the buffer. Arrays of its own, not views of the buffer: the caller may keep it."""

    frames: NDArray[np.uint8]
    """(B, 5, 84, 84): the four frames of the observation and, last, the newest one of the next observation."""
    vector: NDArray[np.float32]
    """(B, 53)"""
    action: NDArray[np.float32]
    """(B, 2)"""
    reward: NDArray[np.float32]
    """(B,)"""
    next_vector: NDArray[np.float32]
    """(B, 53)"""
    terminated: NDArray[np.bool_]
    """(B,): the next observation has no value. A truncated step is not marked: its next observation has one."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """(B, 4, 84, 84), a view."""
        return self.frames[:, :STACK]

    @property
    def next_image(self) -> NDArray[np.uint8]:
        """(B, 4, 84, 84), a view."""
        return self.frames[:, 1:]


class ReplayBuffer:
    """A ring of rows (see `rows`), addressed by row numbers that count from 0 and never wrap.

    Rows `first_row <= row < next_row` exist. Rows below `sealed_row` never change any more: a checkpoint may read
    them (`read_rows`) from another thread while this one goes on adding, as long as the ring does not come round to
    them meanwhile. Checkpoints at most half a capacity apart, which the configuration demands, leave the other half of
    the ring for that. Everything else is for one thread.

    The older frames of an observation must be the newest frames of the ones before it in its episode, and the first
    frame repeated where there is none before: only the newest frame of each observation is looked at.

    Memory is touched only as rows are written: a large capacity costs nothing until it is used.
    """

    schema = SCHEMA

    def __init__(self, capacity: int, seed_generator: np.random.Generator) -> None:
        """An empty buffer for `capacity` rows (at least 2); `seed_generator` (PCG64) draws every sample."""
        if capacity < 2:
            raise ValueError(f"capacity must be at least 2 rows (one transition), found {capacity}")
        self.capacity = capacity
        self._generator = seed_generator
        self._rows: Rows = {name: np.empty((capacity, *shape), dtype) for name, (dtype, shape) in SCHEMA.items()}
        self._clear(0)

    def _clear(self, first_row: int) -> None:
        self._first_row = self._next_row = first_row
        self._transitions = 0

    @property
    def first_row(self) -> int:
        """The oldest row that still exists."""
        return self._first_row

    @property
    def next_row(self) -> int:
        """The number that the next new row will get."""
        return self._next_row

    @property
    def sealed_row(self) -> int:
        """Rows below this never change until the ring overwrites them; only a pending newest row is not sealed."""
        return self._next_row - self.in_episode

    @property
    def in_episode(self) -> bool:
        """Whether the newest row waits for its action."""
        return self._next_row > self._first_row and self._kind(self._next_row - 1) == PENDING

    @property
    def nbytes(self) -> int:
        """Bytes of all rows once the ring is full."""
        return sum(array.nbytes for array in self._rows.values())

    def __len__(self) -> int:
        """Transitions that can be sampled."""
        return self._transitions - sum(
            1
            for row in range(self._first_row, min(self._first_row + STACK - 1, self._next_row))
            if self._kind(row) == TRANSITION and row - self._age(row) < self._first_row
        )

    def begin(self, observation: Observation) -> None:
        """Start an episode with its first observation; RuntimeError if the last one has not ended.

        ValueError unless its four frames are the same, which is what `sample` rebuilds.
        """
        if self.in_episode:
            raise RuntimeError("begin() while an episode is in progress; end it with add(...) or truncate()")
        image = observation["image"]
        if not (image == image[-1]).all():
            raise ValueError("an episode's first image must be one frame repeated")
        self._append(observation, PENDING)

    def add(
        self,
        action: NDArray[np.float32],
        reward: float,
        next_observation: Observation,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Complete the newest row with its action (2,) and reward, and append the observation that followed.

        `terminated` outweighs `truncated` where both are set. RuntimeError where no episode is in progress.
        """
        row = self._pending_row("add")
        slot, age = row % self.capacity, self._age(row)
        self._rows["action"][slot] = action
        self._rows["reward"][slot] = reward
        self._rows["flags"][slot] = TRANSITION | age << AGE_SHIFT
        self._transitions += 1
        ending = TERMINATED if terminated else TRUNCATED
        flags = (FINAL | ending) if terminated or truncated else PENDING
        self._append(next_observation, flags | min(age + 1, STACK - 1) << AGE_SHIFT)

    def truncate(self) -> None:
        """End the episode in progress where it stands, as truncated; RuntimeError where none is in progress.

        For an episode that cannot go on (its simulator was lost): the newest transition keeps its next observation.
        """
        row = self._pending_row("truncate")
        self._rows["flags"][row % self.capacity] = FINAL | TRUNCATED | self._age(row) << AGE_SHIFT

    def sample(self, batch_size: int) -> Batch:
        """`batch_size` transitions, uniformly with replacement; ValueError where none can be sampled."""
        if len(self) == 0:
            raise ValueError("the replay buffer holds no complete transition to sample")
        rows = self._draw(batch_size)
        slots, next_slots = rows % self.capacity, (rows + 1) % self.capacity
        age = self._rows["flags"][slots] >> AGE_SHIFT
        # The k-th of four frames lies 3 - k rows back, but never before the episode's first frame, which is repeated.
        back = np.minimum(age[:, None], np.arange(STACK - 1, -1, -1))
        frame_rows = np.concatenate([rows[:, None] - back, rows[:, None] + 1], axis=1)
        return Batch(
            frames=self._rows["frame"].take(frame_rows % self.capacity, axis=0),
            vector=self._rows["vector"][slots],
            action=self._rows["action"][slots],
            reward=self._rows["reward"][slots],
            next_vector=self._rows["vector"][next_slots],
            terminated=(self._rows["flags"][next_slots] & TERMINATED) != 0,
        )

    def read_rows(self, start: int, stop: int) -> Rows:
        """Rows `start <= row < stop`, field by field; views where they lie in one piece of the ring, else copies.

        ValueError where one of them no longer, or not yet, exists.
        """
        if not self._first_row <= start <= stop <= self._next_row:
            raise ValueError(
                f"rows {start} to {stop} are not all in the buffer, which holds {self._first_row} to {self._next_row}"
            )
        first = start % self.capacity
        head = min(stop - start, self.capacity - first)
        tail = stop - start - head
        return {
            name: np.concatenate([array[first:], array[:tail]]) if tail else array[first : first + head]
            for name, array in self._rows.items()
        }

    def restore(self, first_row: int, blocks: Iterable[Mapping[str, NDArray[Any]]]) -> None:
        """Fill the buffer with sealed rows, `blocks` of consecutive ones from `first_row` on; then `load_state`.

        Where there are more than `capacity`, the newest are kept. ValueError names a field that does not fit
        the schema; the buffer is empty then.
        """
        self._clear(first_row)
        try:
            for block in blocks:
                self._write_block(block)
        except ValueError:
            self._clear(0)
            raise
        self._count_transitions()

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the sealed rows: row numbers, the pending row, the generator. Copies."""
        pending = self.read_rows(self.sealed_row, self._next_row)
        return {
            "first_row": self._first_row,
            "sealed_row": self.sealed_row,
            "pending": {name: array.copy() for name, array in pending.items()} if self.in_episode else None,
            "generator": generator_state(self._generator),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up `state()` again, after `restore` of the sealed rows; ValueError where the two do not fit."""
        missing = {"first_row", "sealed_row", "pending", "generator"} - state.keys()
        if missing:
            raise ValueError(f"{min(missing)}: missing")
        if self._next_row != state["sealed_row"]:
            raise ValueError(f"sealed_row: {state['sealed_row']}, but the restored rows end at {self._next_row}")
        load_generator_state(self._generator, state["generator"], "generator")
        if state["pending"] is not None:
            self._write_block(state["pending"])
        # Rows that the saved buffer had already given up must not be drawn, or the sampling sequence would differ.
        self._first_row = max(self._first_row, state["first_row"])
        self._count_transitions()

    def _pending_row(self, caller: str) -> int:
        if not self.in_episode:
            raise RuntimeError(f"{caller}() without an episode in progress; call begin(observation) first")
        return self._next_row - 1

    def _kind(self, row: int) -> int:
        return int(self._rows["flags"][row % self.capacity]) & KIND

    def _age(self, row: int) -> int:
        return int(self._rows["flags"][row % self.capacity]) >> AGE_SHIFT

    def _append(self, observation: Observation, flags: int) -> None:
        slot = self._next_row % self.capacity
        if self._next_row - self._first_row == self.capacity:
            self._transitions -= self._kind(self._first_row) == TRANSITION
            self._first_row += 1
        self._rows["frame"][slot] = observation["image"][-1]
        self._rows["vector"][slot] = observation["vector"]
        # Zeros until add() fills them in, so that equal runs leave equal bytes in every row.
        self._rows["action"][slot] = 0
        self._rows["reward"][slot] = 0
        self._rows["flags"][slot] = flags
        self._next_row += 1

    def _count_transitions(self) -> None:
        flags = self.read_rows(self._first_row, self._next_row)["flags"]
        self._transitions = int(np.count_nonzero((flags & KIND) == TRANSITION))

    def _write_block(self, block: Mapping[str, NDArray[Any]]) -> None:
        missing = SCHEMA.keys() - block.keys()
        if missing:
            raise ValueError(f"{min(missing)}: missing")
        count = len(block["flags"])
        for name, (dtype, shape) in SCHEMA.items():
            if block[name].dtype != dtype or block[name].shape != (count, *shape):
                raise ValueError(f"{name}: {block[name].dtype} {block[name].shape}, expected {dtype} {(count, *shape)}")
        kept = min(count, self.capacity)
        slots = np.arange(self._next_row + count - kept, self._next_row + count) % self.capacity
        for name, array in self._rows.items():
            array[slots] = block[name][count - kept :]
        self._next_row += count
        self._first_row = max(self._first_row, self._next_row - self.capacity)

    def _draw(self, batch_size: int) -> NDArray[np.int64]:
        """Row numbers of transitions whose whole stack exists; others are drawn again, which keeps it uniform."""
        drawn = np.empty(0, np.int64)
        while len(drawn) < batch_size:
            rows = self._generator.integers(self._first_row, self._next_row - 1, batch_size - len(drawn))
            flags = self._rows["flags"][rows % self.capacity]
            whole = rows - (flags >> AGE_SHIFT) >= self._first_row
            drawn = np.concatenate([drawn, rows[((flags & KIND) == TRANSITION) & whole]])
        return drawn
