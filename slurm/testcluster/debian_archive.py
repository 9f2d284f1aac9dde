"""Packages of another Debian than this machine's, by package lists of its own: nothing is added to apt's sources.

The lists' signature is checked, not their age, which frozen mirrors have passed. Needs apt-get and the
network, not root.
"""

import shutil
from pathlib import Path

from failure import ClusterError
from progress import run_and_tell

MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def fetch(suite: str, packages: list[str], folder: Path, dependencies: bool) -> list[Path]:
    """Download packages of a suite into a folder, with all that they depend on where asked; returns the .deb files.

    What is there already, in whole or in part, is not fetched again. Raises ClusterError with apt's reason.
    """
    what = " ".join(packages)
    if not shutil.which("apt-get"):
        raise ClusterError(f"{what} of Debian {suite}: no apt-get on this machine, which has to be a Debian or Ubuntu")
    archives, empty = folder / "archives", folder / "empty"
    for directory in (folder / "lists" / "partial", archives / "partial", empty):
        directory.mkdir(parents=True, exist_ok=True)
    sources, status = folder / "suite.sources", folder / "status"
    sources.write_text(
        f"Types: deb\nURIs: {MIRROR}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n", encoding="utf-8"
    )
    status.touch()  # as if nothing were installed: else what this machine has would be left out
    options = [f"-oDir::Etc::SourceList={sources}", f"-oDir::Etc::SourceParts={empty}"]
    options += [f"-oDir::State::Lists={folder}/lists", f"-oDir::State::status={status}"]
    options += [f"-oDir::Etc::Preferences={empty}/none", f"-oDir::Etc::PreferencesParts={empty}"]
    options += [f"-oDir::Cache={folder}", f"-oDir::Cache::Archives={archives}", "-oAPT::Sandbox::User=root"]
    options += ["-oAcquire::Languages=none", "-oAcquire::Check-Valid-Until=false", "-oAcquire::Retries=3", "-q", "-y"]
    get = ["install", "--download-only", "--no-install-recommends"] if dependencies else ["download"]
    for action in (["update", "-oAPT::Update::Error-Mode=any"], [*get, *packages]):
        directory = folder if dependencies else archives
        code, said = run_and_tell(["apt-get", *options, *action], f"fetching {what}", directory=directory)
        if code != 0:
            raise ClusterError(
                f"{what} could not be fetched from {MIRROR}, {suite}: {_reason(said)}; see to the network and try again"
            )
    return sorted(archives.glob("*.deb"))


def _reason(said: str) -> str:
    errors = [line for line in said.splitlines() if line.startswith(("E:", "W:"))]
    return " ".join((errors[:1] or [" ".join(said.split())[-300:]])[0].split())
