"""When a server that failed is started again, and when not any more."""

import time
from collections import deque
from collections.abc import Callable

_HOUR_S = 3600.0
_LONGEST_PAUSE_S = 60.0
#: A server that lived this long was sound: its failure is treated as a first one.
_SOUND_S = 60.0


class RestartPolicy:
    """At most so many restarts within an hour, with pauses of 0, 1, 2, 4 ... 60 s before them."""

    def __init__(self, per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_hour = per_hour
        self._clock = clock
        self._restarts: deque[float] = deque()
        self._failures = 0

    def next_pause_s(self, lived_s: float) -> float | None:
        """Seconds to wait before the next start, after a server that lived so long; None: give up."""
        now = self._clock()
        while self._restarts and now - self._restarts[0] > _HOUR_S:
            self._restarts.popleft()
        if len(self._restarts) >= self._per_hour:
            return None
        self._restarts.append(now)
        self._failures = 1 if lived_s > _SOUND_S else self._failures + 1
        return min(2.0 ** (self._failures - 2), _LONGEST_PAUSE_S) if self._failures > 1 else 0.0

    @property
    def recent(self) -> int:
        """Restarts within the last hour."""
        return len(self._restarts)
