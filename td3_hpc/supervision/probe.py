"""One run of the readiness probe, beside which the supervisor goes on with its watch."""

import contextlib
import os
import tempfile

from td3_hpc.code import run_module
from td3_hpc.supervision.child_group import ChildGroup, describe_exit
from td3_hpc.supervision.launch_command import Launch


class Probe:
    """A running `python -m td3_hpc.supervision.readiness`: it loads the client library, and waits for its `begin`."""

    def __init__(self, host: str, port: int, town: str | None, timeout_s: float) -> None:
        """`timeout_s` bounds each call of the client; `town` None accepts any map."""
        command = [*run_module("td3_hpc.supervision.readiness"), "--host", host, "--port", str(port)]
        command += ["--timeout", str(timeout_s)] + (["--town", town] if town is not None else [])
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - no pipe: the client's warnings could fill one
        read, self._begin = os.pipe()
        try:
            self._child = ChildGroup(Launch(command, dict(os.environ)), self._output, stdin=read)
        finally:
            os.close(read)

    def begin(self) -> None:
        """Let it ask the simulator."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and `finish` says how
            os.write(self._begin, b"\n")

    def ended(self) -> bool:
        """Whether the result is there."""
        return self._child.ended()

    def finish(self) -> str:
        """End the probe. Returns '' where the simulator is ready, otherwise what is missing, in one line."""
        code = self._child.stop(grace_s=0.0)
        os.close(self._begin)
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").splitlines()
        self._output.close()
        if code == 0:
            return ""
        return (lines[-1] if lines else "") or f"the client ended with {describe_exit(code)}"
