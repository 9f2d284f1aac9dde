"""The image is a SIF for these processors, and what is bound exists."""

import shutil
from pathlib import Path

import pytest

from td3_hpc.launch.preflight.container import check_apptainer, check_binds, check_image, inside
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from tests.launch.preflight.plans import doctor, plan
from tests.paths import ROOT
from tests.slurm.cluster import host_binds, host_image

SIF_HEAD = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\x0001\0"


def contained(run_dir: Path, image: Path, *binds: str, **settings: object) -> dict:
    return {"run_dir": run_dir, "container": {"image": image, "binds": list(binds)}, **settings}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real SIF file."""
    if shutil.which("apptainer") is None:
        pytest.skip("no apptainer on this machine")
    return host_image(tmp_path_factory.mktemp("image"))


def test_a_real_image_is_taken(image: Path, tmp_path: Path) -> None:
    assert "for x86_64" in check_image(plan(**contained(tmp_path / "run", image)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or directory"),
        (b"", "not a SIF file"),
        (b"#!/bin/sh\nexit 0\n" + b" " * 100, "not a SIF file"),
        (SIF_HEAD + b"04\0" + b"\0" * 40, "for aarch64; the nodes are x86_64"),
    ],
)
def test_any_other_file_is_refused_with_what_it_is(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "image.sif"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Mistake, match=f"{path}.*{message}"):
        check_image(plan(**contained(tmp_path / "run", path)))


def test_a_folder_to_bind_that_is_missing_is_refused_and_told_where_the_nodes_are_asked(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    binds = (f"{there}:/data:ro", "/nowhere/a", "/nowhere/b:/b")

    with pytest.raises(Mistake, match=r"^/nowhere/a, /nowhere/b: no such file or folder") as caught:
        check_binds(plan(**contained(tmp_path / "run", tmp_path / "i.sif", *binds, scheduler="slurm")))
    assert "where only the nodes have it, run `td3-hpc doctor --cluster here`" in caught.value.change

    seen = doctor(binds=list(binds))
    found = check_binds(plan(**contained(tmp_path / "run", tmp_path / "i.sif", *binds, scheduler="slurm"), result=seen))
    assert "not on this machine, but there on n1" in found


def test_what_lies_in_an_image_can_be_asked(image: Path, tmp_path: Path) -> None:
    tried = plan(**contained(tmp_path / "run", image, *host_binds()))

    assert "td3_hpc\n" in inside(tried, "ls", str(ROOT))
    assert inside(tried, "ls", "/nowhere") == ""
    with pytest.raises(NotLearnt, match="does not start here"):
        inside(plan(**contained(tmp_path / "run", tmp_path / "no.sif")), "true")


def test_no_apptainer_is_refused_unless_a_module_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = contained(tmp_path / "run", tmp_path / "i.sif")

    with pytest.raises(Mistake, match="no apptainer on this machine"):
        check_apptainer(plan(**settings))
    with pytest.raises(NotLearnt, match="no apptainer on this machine to look"):
        inside(plan(**settings), "ls")
    assert check_apptainer(plan(**settings, modules=["apptainer/1.3"])) == "from the modules apptainer/1.3"
