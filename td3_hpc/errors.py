"""Errors that a user can act on, and the exit codes of every command."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `td3-hpc`, the same for every command."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NO_GO = 3
    PREEMPTED = 75  # EX_TEMPFAIL: "checkpoint saved, requeue me"


class UserError(Exception):
    """A failure explained in one line: what is wrong, where, and what to do. Shown without a traceback."""

    exit_code = ExitCode.FAILED


class BadInput(UserError):
    """The user's input (configuration, file, option) is wrong; nothing was started."""

    exit_code = ExitCode.BAD_INPUT
