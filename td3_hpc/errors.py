"""Errors that a user can act on, and the exit codes of every command."""

import errno
from enum import IntEnum
from typing import Literal


class ExitCode(IntEnum):
    """Exit codes of `td3-hpc`, the same for every command."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NO_GO = 3
    PREEMPTED = 75  # EX_TEMPFAIL: "checkpoint saved, requeue me"


FailureCode = Literal[
    "error",
    "bad_input",
    "non_finite",
    "disk_full",
    "environment_lost",
    "simulator_failed",
    "simulator_never_ready",
]
"""What kind a failure is, for programs; messages are for people. `simulator_never_ready`: the node may be at fault."""


class UserError(Exception):
    """A failure explained in one line: what is wrong, where, and what to do. Shown without a traceback."""

    exit_code = ExitCode.FAILED
    code: FailureCode = "error"

    def __init__(self, message: str, *, cause: str = "", code: FailureCode | None = None) -> None:
        """`cause`: what happened, without the advice; the whole message where it is not given."""
        super().__init__(message)
        self.cause = cause or message
        self.code = code or self.code


class BadInput(UserError):
    """The user's input (configuration, file, option) is wrong; nothing was started."""

    exit_code = ExitCode.BAD_INPUT
    code = "bad_input"


#: What only the user can mend; any other failure of a file system may pass.
_PERMANENT = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
    errno.EOPNOTSUPP, errno.ENOSYS,
)  # fmt: skip


def file_error(error: OSError, message: str) -> UserError:
    """BadInput where a file system refuses for good, so that nobody tries again; else a failure that may pass."""
    if error.errno in _PERMANENT:
        return BadInput(message)
    return UserError(message, code=failure_of(error))


def failure_of(error: OSError) -> FailureCode:
    """`disk_full` for a disk or a quota without space, `error` for anything else."""
    return "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "error"
