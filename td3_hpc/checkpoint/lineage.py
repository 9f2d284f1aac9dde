"""Which checkpoints belong to the line of attempts that leads to one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.checkpoint.epochs import Claim
from td3_hpc.checkpoint.manifest import Manifest
from td3_hpc.checkpoint_names import Order, manifest_name, order_of


@dataclass(frozen=True)
class Line:
    """The checkpoints that attempts resumed from, one after the other, up to the newest one."""

    parents: tuple[str, ...]
    """Names of the manifests resumed from, the oldest first."""
    newest: Order

    @property
    def root(self) -> int:
        """Epoch of the attempt that began the line from nothing."""
        return min([self.newest[0], *(order[0] for order in self._orders())])

    def holds(self, order: Order) -> bool:
        """Whether a checkpoint is one of the line: written before the line's next attempt resumed."""
        return any(order[0] == last[0] and order <= last for last in (*self._orders(), self.newest))

    def _orders(self) -> list[Order]:
        return [order for name in self.parents if (order := order_of(Path(name)))]


def line_of(manifest: Manifest, manifests: Iterable[Manifest], claims: Mapping[int, Claim]) -> Line:
    """The line of a checkpoint, from its manifest; for one of an earlier version, from the epoch files.

    Where these are missing too, an attempt is taken to have resumed from the highest checkpoint of the epochs before.
    """
    known = {other.epoch: other.line for other in manifests if other.line is not None}
    parents: list[str] = []
    epoch, line = manifest.epoch, manifest.line
    while line is None:
        parent = _parent_of(epoch, manifests, claims)
        order = order_of(Path(parent)) if parent else None
        if parent is None or order is None or order[0] >= epoch:
            line = ()
            break
        parents.insert(0, parent)
        epoch, line = order[0], known.get(order[0])
    return Line((*line, *parents), manifest.order)


def _parent_of(epoch: int, manifests: Iterable[Manifest], claims: Mapping[int, Claim]) -> str | None:
    if epoch in claims:
        return claims[epoch].resumed_from
    earlier = [manifest.order for manifest in manifests if manifest.epoch < epoch]
    return manifest_name(max(earlier)) if earlier else None
