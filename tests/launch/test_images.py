"""What is missing for building an image is said before anything is built; building itself: tests/slurm."""

from pathlib import Path

import pytest

from td3_hpc.errors import BadInput, UserError
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


def test_an_image_of_carlas_for_other_gpus_than_nvidias_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--gpu amd: CARLA's image renders with NVIDIA's driver only; build `embedded`"):
        images.build("carla", tmp_path / "carla.sif", gpu="amd")


@pytest.mark.parametrize(
    ("gpu", "version", "fits"),
    [
        ("amd", "2.9.0+rocm6.4", True),
        ("amd", "2.9.0", False),
        ("amd", "2.9.0+cpu", False),
        ("nvidia", "2.9.0", True),
        ("nvidia", "2.9.0+cu128", True),
        ("nvidia", "2.9.0+cpu", False),
        ("none", "2.9.0+cpu", True),
        ("none", "2.9.0", False),
    ],
)
def test_pytorch_is_of_the_build_that_was_asked_for(tmp_path: Path, gpu: images.Gpu, version: str, fits: bool) -> None:
    (tmp_path / f"torch-{version}-cp311-cp311-manylinux_2_28_x86_64.whl").touch()

    if fits:
        images.require_torch_for(gpu, tmp_path)
        return
    with pytest.raises(BadInput, match=rf"PyTorch {version.replace('+', '.')}, which is no build for --gpu {gpu}"):
        images.require_torch_for(gpu, tmp_path)


def test_what_takes_long_is_not_silent_and_a_failure_tells_its_last_lines(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(images, "SAY_EVERY_S", 0.1)

    with pytest.raises(UserError, match=r"the build failed with exit status 7; its last lines:\nout\nerror"):
        images._run(["sh", "-c", "echo out; echo error >&2; sleep 0.5; exit 7"], "the build")

    assert capfd.readouterr().err.startswith("the build: 0 s\n")


def test_pytorch_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="PyTorch is missing"):
        images.require_torch_for("none", tmp_path)
