"""Files that come with the program: where they are found, and that the wheel's list of them is whole."""

import subprocess
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.shipped import CONTENTS, copy_source, find_configuration, is_installed, shipped, site_names
from tests.paths import ROOT


def test_in_a_checkout_they_are_its_own():
    assert [shipped(name) for name in CONTENTS] == [ROOT / name for name in CONTENTS]
    assert not is_installed(ROOT / "configs" / "stages" / "1k.yaml")
    assert {"leonardo", "lumi", "perlmutter"} <= set(site_names())


def test_beside_an_installed_package_they_are_in_share(tmp_path: Path):
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "td3_hpc"
    share = tmp_path / "share" / "td3-hpc"
    (share / "configs").mkdir(parents=True)
    (share / "constraints.txt").touch()
    assert shipped("configs", package) == share / "configs"
    with pytest.raises(BadInput, match=r"slurm is not beside it; install td3-hpc again, from its wheel"):
        shipped("slurm", package)


def test_the_wheel_lists_every_file_that_git_has_of_them():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    listed = {path for group in patterns.values() for pattern in group for path in ROOT.glob(pattern)}
    known = subprocess.run(["git", "ls-files", *CONTENTS], cwd=ROOT, capture_output=True, text=True)
    if known.returncode:
        pytest.skip("not a clone")
    files = {ROOT / name for name in known.stdout.splitlines()} - {ROOT / "configs" / "clusters" / "sites"}
    assert listed == files, "name it in pyproject.toml's data files"
    for target, group in patterns.items():
        for pattern in group:
            assert Path(target) == Path("share/td3-hpc") / Path(pattern).parent, "where shipped() looks for it"


def test_what_a_wheel_is_made_of_holds_no_image(tmp_path: Path):
    copy_source(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*CONTENTS, "td3_hpc"}
    assert not list(tmp_path.rglob("*.sif*"))
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_name_is_a_shipped_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    ours = ROOT / "configs" / "stages" / "1k.yaml"
    assert find_configuration(Path("1k"), "stage") == (ours, f"stage 1k: as shipped, {ours}")
    assert find_configuration(Path("smoke"), "campaign")[0] == ROOT / "configs" / "campaigns" / "smoke.yaml"
    with pytest.raises(
        BadInput, match="2k: no such file, and no stage of that name is shipped; there are 1k, 1m, 1m-two-cores, 5k"
    ):
        find_configuration(Path("2k"), "stage")


def test_a_file_of_that_name_wins_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "configs" / "stages" / "1k.yaml"
    own.parent.mkdir(parents=True)
    for path in (Path("configs/stages/1k.yaml"), Path("1k.yaml"), Path("1k")):
        path.touch()
        assert find_configuration(Path("1k"), "stage") == (path, f"stage 1k: {path}, not the shipped one")


def test_a_path_is_taken_as_it_is():
    for given in (Path("configs/stages/none.yaml"), Path("none.yaml"), Path("./a/b"), ROOT):
        assert find_configuration(given, "stage") == (given, "")
