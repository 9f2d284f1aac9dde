"""Which updates of a run are recomputed, to see that TD3's mechanisms work in them."""

from td3_hpc.replay import Batch
from td3_hpc.td3 import MechanismCheck, MechanismProbe, TD3Agent, UpdateStats


class MechanismMonitor:
    """Checks one update in `every`: a multiple of it and, in turn, the update after a multiple.

    So updates with and without the policy are checked, whatever `every` and `policy_freq` have in common.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._probe: MechanismProbe | None = None

    def before(self, agent: TD3Agent, batch: Batch) -> None:
        """Before an update of the agent on this batch."""
        number, after = divmod(agent.updates + 1, self._every)
        self._probe = MechanismProbe(agent, batch) if number and after == (number + 1) % 2 % self._every else None

    def after(self, stats: UpdateStats) -> MechanismCheck | None:
        """After that update; None where it was not one to be checked."""
        probe, self._probe = self._probe, None
        return probe.check(stats) if probe is not None else None
