"""What was frozen stays what it was."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from td3_hpc.code import code_digest
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs.freeze import freeze_code, freeze_image


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "here" / "pack"
    (package / "inner" / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    (package / "inner" / "data.json").write_text("{}")
    (package / "inner" / "__pycache__" / "left.pyc").write_bytes(b"\0")
    return package


def test_an_image_is_known_by_digest_and_by_the_stamp_that_the_job_compares(tmp_path: Path) -> None:
    path = tmp_path / "i.sif"
    path.write_bytes(b"image" * 1000)
    os.utime(path, (1700000000.75, 1700000000.75))

    frozen = freeze_image(path)

    assert frozen.sha256 == hashlib.sha256(b"image" * 1000).hexdigest()
    assert frozen.stamp == subprocess.run(
        ["stat", "-L", "-c", "%s %Y", str(path)], capture_output=True, text=True, check=True
    ).stdout.strip()  # fmt: skip


def test_a_missing_image_is_bad_input_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.sif: the container image cannot be read .*container build"):
        freeze_image(tmp_path / "none.sif")


def test_frozen_code_is_a_copy_that_edits_do_not_reach(package: Path, tmp_path: Path) -> None:
    digest = freeze_code(package, tmp_path / "frozen")

    (package / "__init__.py").write_text("x = 2\n")

    assert (tmp_path / "frozen" / "pack" / "__init__.py").read_text() == "x = 1\n"
    assert not list((tmp_path / "frozen").rglob("*.pyc"))
    assert code_digest(tmp_path / "frozen" / "pack") == digest
    assert code_digest(package) != digest


def test_freezing_again_leaves_nothing_of_the_old_copy(package: Path, tmp_path: Path) -> None:
    freeze_code(package, tmp_path / "frozen")
    (package / "inner" / "data.json").unlink()

    freeze_code(package, tmp_path / "frozen")

    assert not (tmp_path / "frozen" / "pack" / "inner" / "data.json").exists()


def test_the_digest_tells_a_renamed_file_and_moved_bytes_apart(package: Path) -> None:
    digests = {code_digest(package)}
    (package / "inner" / "data.json").rename(package / "inner" / "other.json")
    digests.add(code_digest(package))
    (package / "a").write_text("ab")
    (package / "b").write_text("c")
    digests.add(code_digest(package))
    (package / "a").write_text("a")
    (package / "b").write_text("bc")
    digests.add(code_digest(package))

    assert len(digests) == 4


def test_a_package_that_is_installed_read_only_can_be_frozen_again(package: Path, tmp_path: Path) -> None:
    for folder in (package, package / "inner"):
        folder.chmod(0o555)

    for _ in range(2):
        freeze_code(package, tmp_path / "frozen")

    copied = [path for path in (tmp_path / "frozen").rglob("*") if path.is_dir()]
    assert copied
    assert all(path.stat().st_mode & 0o200 for path in copied), "its user could not remove it"
