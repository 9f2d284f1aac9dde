"""The documents: every link, every path of the repository, every module and every `td3-hpc …` in them exists."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from benchmarks.__main__ import available
from td3_hpc import cli, entry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [
    *(path for folder in ("td3_hpc", "benchmarks", "slurm", "configs") for path in (ROOT / folder).rglob("*.*")),
    ROOT / "Makefile",
    ROOT / "docs" / "draw_camera_pictures.py",
]
FOLDERS = "td3_hpc|tests|configs|containers|slurm|benchmarks|docs"
#: Files that the reader makes.
OF_THE_READER = re.compile(r"mysite\.yaml$|\.sif(\.sha256)?$")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes anchors of them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_links_lead_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: no heading for {link}"


@pages
def test_paths_exist(page: Path):
    for path in re.findall(rf"(?<![\w/.<-])(?:{FOLDERS})/[\w./*-]*[\w/*]", page.read_text()):
        assert any(ROOT.glob(path)) or OF_THE_READER.search(path), f"{page.name}: {path}"


@pages
def test_modules_exist(page: Path):
    for module in re.findall(r"python3? -m ((?:td3_hpc|benchmarks)[\w.]*)", page.read_text()):
        assert importlib.util.find_spec(module), f"{page.name}: {module}"
    for name in re.findall(r"python -m benchmarks (\w+)", page.read_text()):
        assert name in available(), f"{page.name}: {name}"


def test_pages_named_in_the_code_exist():
    for source in SOURCES:
        if source.suffix in (".py", ".yaml", ".j2", ".def", "") and source.is_file():
            for path in re.findall(r"\bdocs/[\w/-]+\.md", source.read_text()):
                assert (ROOT / path).exists(), f"{source.relative_to(ROOT)}: {path}"


def test_the_guide_lists_every_page():
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def commands(text: str) -> Iterator[str]:
    """What follows `td3-hpc` in code, to the end of the line or of the command."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.S)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.S))
    for line in (line for code in (*blocks, *spans) for line in code.splitlines()):
        for found in re.findall(r"(?:^|[ /])td3-hpc (\S[^#|;]*)", line):
            yield re.split(r" [&>]| 2>", found)[0].strip()


@cache
def program() -> Any:
    """`td3-hpc` with all its commands."""
    entry._mount()
    return typer.main.get_command(cli.app)


def mistake(line: str) -> str:
    """What the command line does not know of it; '' where all commands and options exist."""
    command, words = program(), iter(shlex.split(line))
    for word in words:
        if word.startswith("-") and word != "-":
            options = [o for o in command.params if word.partition("=")[0] in (*o.opts, *o.secondary_opts)]
            if not options and word not in ("-h", "--help"):
                return f"{command.name} has no option {word}"
            if options and not options[0].is_flag and "=" not in word:
                next(words, None)
        elif hasattr(command, "get_command"):
            inner = command.get_command(None, word)
            if inner is None:
                return f"{command.name} has no command {word}"
            command = inner
    return ""


@pages
def test_commands_are_ones_that_the_program_has(page: Path):
    for line in commands(page.read_text()):
        assert not mistake(line), f"{page.name}: td3-hpc {line}: {mistake(line)}"


def test_a_wrong_command_or_option_is_found():
    assert mistake("subbmit x.yaml") == "td3-hpc has no command subbmit"
    assert mistake("submit x.yaml --clusters here") == "submit has no option --clusters"
    assert not mistake("submit x.yaml --cluster here -o a.b=1 --print")
