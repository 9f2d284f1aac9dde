"""What was noted at submission: read, missing, damaged."""

from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.submission_notes import SUBMISSION_FILE, read_notes


def test_a_run_that_never_was_submitted_has_no_notes(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b'{"jobs": ["1', b"[]", b"\xff\xfe", b"null"])
def test_damaged_notes_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / SUBMISSION_FILE
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(BadInput, match=f"^{path}: damaged .*; take it away, and submit again$") as caught:
        read_notes(tmp_path)
    assert "\n" not in str(caught.value)
