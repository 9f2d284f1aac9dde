"""Programs that stand where CARLA's binary would, so that the supervisor starts them the way it starts CARLA."""

import sys
from pathlib import Path

from td3_hpc.supervision.launch_command import CARLA_BINARY

#: Answers CARLA's `version` call with its first argument, on the port that the supervisor chose.
_OTHER_VERSION = """
import socket, sys, msgpack
port = int([word for word in sys.argv if word.startswith("-carla-rpc-port=")][0].split("=")[1])
listener = socket.create_server(("127.0.0.1", port))
while True:
    connection, _ = listener.accept()
    unpacker = msgpack.Unpacker()
    while received := connection.recv(4096):
        unpacker.feed(received)
        for _, number, name, _ in unpacker:
            assert name == "version"
            connection.sendall(msgpack.packb([1, number, None, [[1, "VERSION"]]]))
"""


def carla_installation(directory: Path, script: str) -> Path:
    """A `carla_root` whose binary is the shell script; its last argument is -carla-rpc-port=N."""
    binary = directory / CARLA_BINARY
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/bash\n{script}\n")
    binary.chmod(0o755)
    return directory


def installation_of_version(directory: Path, version: str) -> Path:
    """A `carla_root` whose server speaks the protocol and reports that version."""
    directory.mkdir()
    program = directory / "server.py"
    program.write_text(_OTHER_VERSION.replace("VERSION", version))
    return carla_installation(directory, f'exec {sys.executable} {program} "$@"')
