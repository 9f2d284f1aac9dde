"""What can be wrong with a checkpoint or its directory."""

from td3_hpc.errors import BadInput, UserError


class CheckpointDamaged(UserError):
    """A file of a checkpoint is missing, cut off, changed, or not what it should be; the message names it."""


class Superseded(UserError):
    """Another attempt has taken the run over; this one must stop."""


class CheckpointUnreadable(UserError):
    """The file system does not give a file of a checkpoint, again and again: whether it is whole is not known."""


class RunDirectoryTaken(UserError):
    """Another live process writes in the run directory; the message names it. It ends, and one may try again."""


class NotContinued(BadInput):
    """The run must not go on by itself, or work would be lost; the message names what there is, and the ways on."""
