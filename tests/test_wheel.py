"""The wheel, installed: used from empty folders, and continuing what an earlier version began."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import td3_hpc
from td3_hpc.config import dump_yaml, validate
from td3_hpc.config.stage import StageConfig
from td3_hpc.shipped import copy_source
from tests.conftest import StartServer
from tests.paths import ROOT
from tests.small_stage import SMALL, changed

TINY = changed(
    SMALL,
    {
        "name": "tiny",
        "training.total_steps": 30,
        "training.learning_starts": 20,
        "evaluation.every_steps": 15,
        "checkpoint.every_steps": 10,
        "environment.max_decisions": 6,
    },
)
VERSION = td3_hpc.__version__
NEXT = "99.0.0"


def run(*command: object, cwd: Path) -> str:
    """What a program says, the checkout out of its sight."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = list(map(str, command))
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode in (0, 3), f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def make_wheel(folder: Path, version: str) -> Path:
    """The wheel of a source archive of this package, built with the setuptools that is installed."""
    source = folder / "source"
    source.mkdir(parents=True)
    copy_source(source)
    for name in ("pyproject.toml", "td3_hpc/__init__.py"):
        path = source / name
        path.write_text(path.read_text().replace(f'ersion__ = "{VERSION}"', f'ersion__ = "{version}"', 1))
        path.write_text(re.sub(r'^version = ".*"', f'version = "{version}"', path.read_text(), count=1, flags=re.M))
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    run(sys.executable, "-c", build, cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index")
    run(*pip, "--wheel-dir", folder, archive, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """A virtual environment with the wheel, and with the packages that this one has; returns its bin folder."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=ROOT)
    (packages,) = folder.glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "others.pth").write_text("\n".join(others) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet")
    run(*pip, "--no-index", "--no-deps", "--ignore-installed", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheel"), VERSION)


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("environment") / "venv")


def small_project(td3: Path, folder: Path) -> Path:
    """A project with one more stage, which is over soon."""
    run(td3, "init", folder, cwd=folder.parent)
    stage = dump_yaml(validate(StageConfig, TINY, "tiny"))
    (folder / "configs" / "stages" / "tiny.yaml").write_text(stage)
    return folder


def test_the_wheel_holds_what_the_commands_need(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    shared = {name.partition("/data/share/td3-hpc/")[2] for name in names}
    for name in (
        "constraints.txt",
        "configs/stages/1k.yaml",
        "configs/campaigns/validation.yaml",
        "configs/clusters/local.yaml",
        "containers/embedded.def",
        "examples/drive.py",
        "slurm/testcluster/__main__.py",
    ):
        assert name in shared
    for name in ("launch/sites/lumi.yaml", "launch/jobs/templates/stage.sbatch.j2", "simulator/own_towns/Hamlet.xodr"):
        assert f"td3_hpc/{name}" in names


def test_from_an_empty_folder_to_a_drive(programs: Path, tmp_path: Path, simulator_server: StartServer):
    """docs/start.md in its short form."""
    td3 = programs / "td3-hpc"
    where = run(programs / "python", "-c", "import td3_hpc; print(td3_hpc.__file__)", cwd=tmp_path)
    assert where.startswith(str(programs.parent)), "the installed package, not the checkout's"
    project = small_project(td3, tmp_path / "project")

    trained = run(td3, "train", "tiny", cwd=project)
    assert "stage tiny: configs/stages/tiny.yaml" in trained
    assert (project / "checkpoints" / "tiny" / "report.html").is_file()
    run(td3, "export", "checkpoints/tiny", "-O", "policy", cwd=project)
    server = simulator_server("Hamlet")
    drive = ("examples/drive.py", "policy/policy.onnx", "--port", server.port, "--seconds", 2, "--metres", 40)
    said = run(programs / "python", *drive, cwd=project)
    server.stop()
    assert re.match(r"(arrived|out of time|hit .*): \d+ of 40 m", said), said


def test_shipped_files_are_found_from_an_empty_folder(programs: Path, tmp_path: Path):
    td3 = programs / "td3-hpc"
    share = programs.parent / "share" / "td3-hpc"
    found = subprocess.run([td3, "preflight", "try", "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert f"stage try: as shipped, {share}" in found.stderr
    assert json.loads(found.stdout)[0]["check"] == "configuration"
    assert run(td3, "constraints", cwd=tmp_path) == (ROOT / "constraints.txt").read_text()
    assert "kill-node" in run(td3, "testcluster", "--help", cwd=tmp_path)
    code = "from td3_hpc.shipped import copy_source; from pathlib import Path; copy_source(Path())"
    run(programs / "python", "-c", code, cwd=tmp_path)
    again = subprocess.run(
        ["diff", "-r", share, tmp_path, "-x", "td3_hpc", "-x", "__pycache__"], capture_output=True, text=True
    )
    assert again.returncode == 0, f"`container build` makes its wheel of this: {again.stdout}"


def clone(folder: Path) -> Path:
    folder.mkdir()
    copy_source(folder)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("began", ["project", "clone"])
def test_the_next_version_continues_what_this_one_began(began: str, programs: Path, tmp_path: Path):
    here = tmp_path / began
    words: tuple[object, ...] = (programs / "td3-hpc",)
    if began == "clone":
        clone(here)
        (here / "configs" / "stages" / "tiny.yaml").write_text(dump_yaml(validate(StageConfig, TINY, "tiny")))
        words = (sys.executable, "-m", "td3_hpc")
    else:
        small_project(programs / "td3-hpc", here)
    run(*words, "train", "tiny", cwd=here)
    before = (here / "configs" / "stages" / "tiny.yaml").read_bytes()
    later = install(make_wheel(tmp_path / "later", NEXT), tmp_path / "venv") / "td3-hpc"
    assert NEXT in run(later, "--version", cwd=here)

    run(later, "init", ".", cwd=here)
    run(later, "train", "tiny", "-o", "training.total_steps=40", cwd=here)

    assert (here / "configs" / "stages" / "tiny.yaml").read_bytes() == before
    events = [json.loads(line) for line in (here / "checkpoints" / "tiny" / "record.jsonl").read_text().splitlines()]
    first, second = [event for event in events if event["event"] == "attempt"]
    assert (first["resumed_from"], second["resumed_from"]) == (None, 30)
    assert second["not_exact"] == [f"step 30: td3_hpc was {VERSION}, is {NEXT}"], "and nothing else"
    assert {first["environment"]["td3_hpc"], second["environment"]["td3_hpc"]} == {VERSION, NEXT}


@pytest.mark.long
def test_into_an_empty_environment_with_the_constraints(wheel: Path, tmp_path: Path):
    """All packages anew, from the package index; skipped where there is none."""
    index = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", tmp_path / "try", "msgpack==1.2.4"],
        capture_output=True,
    )
    if index.returncode:
        pytest.skip("no package index can be reached")
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    pip = (tmp_path / "venv" / "bin" / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt")
    td3 = tmp_path / "venv" / "bin" / "td3-hpc"
    run(*pip, wheel, cwd=tmp_path)
    refused = subprocess.run([td3, "train", "1k"], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "'WHEEL[train]'" in refused.stderr
    assert "roads" in run(td3, "town", "Hamlet", cwd=tmp_path)
    run(*pip, f"{wheel}[train,export]", cwd=tmp_path)
    project = small_project(td3, tmp_path / "project")
    run(td3, "train", "tiny", cwd=project)
    assert "policy.onnx" in run(td3, "export", "checkpoints/tiny", cwd=project)
