import errno
import os
from pathlib import Path

import pytest

from td3_hpc.supervision.learner_link import append_line, read_lines


def test_lines_are_read_once_and_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    assert read_lines(path) == ([], 0)
    append_line(path, {"a": 1})
    lines, offset = read_lines(path)
    assert lines == [{"a": 1}]
    with path.open("ab") as file:
        file.write(b'{"b": ')  # as another node's file system may show it
    assert read_lines(path, offset) == ([], offset)
    with path.open("ab") as file:
        file.write(b"2}\n")
    assert read_lines(path, offset)[0] == [{"b": 2}]


def test_a_line_that_two_nodes_have_garbled_is_passed_over(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a": 1}\n\0\0\0\0\n{"b": {"c\n[1]\n{"d": 2}\n')
    assert read_lines(path)[0] == [{"a": 1}, {"d": 2}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said():
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        append_line(Path("/dev/full"), {"a": 1})
