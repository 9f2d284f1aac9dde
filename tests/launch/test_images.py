"""What is missing for building an image is said before anything is built; building itself: tests/slurm."""

from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.launch import images


def test_without_apptainer_the_remedy_is_to_build_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BadInput, match="no apptainer on this machine: build the image on one that has it, and copy"):
        images.build("embedded", tmp_path / "embedded.sif", cache=tmp_path / "cache")

    assert list(tmp_path.iterdir()) == []


def test_wheels_of_another_python_than_the_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apptainer").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(images, "IMAGE_PYTHON", (3, 9))

    with pytest.raises(BadInput, match=r"the image has Python 3\.9, this is 3\.\d+\.\d+: build with a Python 3\.9"):
        images.build("embedded", tmp_path / "embedded.sif", cache=tmp_path / "cache")
