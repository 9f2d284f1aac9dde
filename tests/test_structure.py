"""The package is as CONTRIBUTING.md's table of rooms says; its files are short, listed, and mirrored by tests."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.paths import ROOT

PACKAGE = "td3_hpc"
LONGEST = 400

#: Tests that mirror no module, and what they are of.
OTHER_TESTS = {
    "checkpoint/test_file_system.py": "a file system that fails, refuses or purges, met by the whole store",
    "checkpoint/test_hostile_files.py": "every reader of files, given damaged ones",
    "checkpoint/test_mangled.py": "directories that somebody or something has mangled",
    "checkpoint/test_model.py": "the room against a model of it",
    "checkpoint/test_model_faults.py": "faults planted in the room, which the model finds",
    "checkpoint/test_processes.py": "writers of several processes in one directory",
    "config/test_simulators.py": "rules between keys of several sections",
    "drills/test_drills.py": "every drill, run",
    "driving/test_endurance.py": "the room over many episodes",
    "gates/test_gates.py": "every gate of the registry, against kept runs",
    "launch/jobs/test_script_run.py": "the job's script, run piece by piece",
    "launch/preflight/test_check.py": "the room's own function, in its __init__",
    "launch/test_faults.py": "whole lives of runs in which one call of a command goes wrong",
    "launch/test_smoke_campaign.py": "the shipped smoke campaign, whole",
    "roads/test_made_roads.py": "the room on roads that chance makes",
    "simulator/test_carla_agents.py": "CARLA's own agents on the simulator",
    "simulator/test_carla_programs.py": "CARLA's own examples and utilities on the simulator",
    "simulator/test_carla_python_api.py": "CARLA's own tests on the simulator",
    "simulator/test_documented_use.py": "CARLA's documented use, by the client",
    "simulator/test_traffic.py": "the client's Traffic Manager on the simulator",
    "slurm/": "the room launch on a real Slurm",
    "td3/test_against_stable_baselines3.py": "the agent against another one",
    "td3/test_gpu.py": "the agent on a GPU",
    "test_benchmarks.py": "benchmarks/",
    "test_carla_in_ci.py": "docs/carla-in-ci.md",
    "test_documents.py": "docs/",
    "test_examples.py": "examples/",
    "test_package.py": "the package's own __init__",
    "test_structure.py": "the package's structure",
    "test_wheel.py": "the package as a wheel, installed",
    "training/test_checkpoint_contents.py": "whole runs: what their checkpoints hold",
    "training/test_full_disk.py": "whole runs on a full disk",
    "training/test_lost_checkpoints.py": "whole runs whose checkpoints are gone",
    "training/test_old_runs.py": "whole runs of earlier and later versions",
    "training/test_resume.py": "whole runs, continued",
    "training/test_secrets.py": "whole runs: where secrets must not be",
    "training/test_several_simulators.py": "whole runs with several simulators",
    "training/test_updates_per_step.py": "whole runs with more and fewer updates than steps",
}


class Import(NamedTuple):
    """One import of the package's own code."""

    file: Path
    line: int
    importer: str
    """The module that imports, by its dotted name."""
    imported: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.imported}"


@cache
def modules() -> dict[str, Path]:
    """Every module's file by its dotted name; a package's is its __init__.py."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """All of them, wherever they stand: at the top, in a function, under TYPE_CHECKING."""
    return tuple(found for name, path in modules().items() for found in imports_of(name, path))


def imports_of(name: str, path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; write the whole name"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [item if item in modules() else str(node.module) for item in whole]
        else:
            continue
        for imported in names:
            if imported.split(".")[0] == PACKAGE:
                yield Import(path, node.lineno, name, imported)


def room(module: str) -> str:
    """The room of a module; empty for the package's own __init__."""
    return f"{module}.".split(".")[1]


@cache
def table() -> dict[str, list[str]]:
    """What each room may import, in the order of CONTRIBUTING.md's table."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", text.partition("| room | holds | may import |")[2], re.M)
    assert rows, "CONTRIBUTING.md has no table of rooms"
    return {name: re.findall(r"`(\w+)`", allowed) for name, allowed in rows}


def circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Circles in a graph, one for each knot of nodes that reach each other."""
    after: dict[str, set[str]] = defaultdict(set)
    for start, end in edges:
        if start != end:
            after[start].add(end)
    found: list[list[str]] = []
    done: set[str] = set()
    for start in sorted(after):
        path = _way_back(start, after)
        if path and not done & set(path):
            found.append(path)
            done |= set(path)
    return found


def _way_back(start: str, after: dict[str, set[str]]) -> list[str]:
    """The shortest way from a node to itself; empty where there is none."""
    ways, seen = [[start]], {start}
    for way in ways:
        for following in sorted(after.get(way[-1], ())):
            if following == start:
                return [*way, start]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


# ---- who imports whom ----------------------------------------------------------------------------------------------
def test_every_room_has_a_row_and_every_row_a_room():
    rooms = {room(module) for module in modules()} - {""}
    assert rooms - set(table()) == set(), "give it a row in CONTRIBUTING.md's table of rooms"
    assert set(table()) - rooms == set(), "the table names a room that there is not"


def test_a_row_names_only_rooms_above_it():
    above: list[str] = []
    for name, allowed in table().items():
        assert [other for other in allowed if other not in above] == [], f"{name} may import only what is above it"
        above.append(name)


def test_a_room_imports_only_what_its_row_names():
    forbidden = [
        f"{found}: the room `{room(found.importer)}` may import "
        f"{', '.join(table()[room(found.importer)]) or 'nothing'} (CONTRIBUTING.md), not `{room(found.imported)}`"
        for found in imports()
        if room(found.imported) not in ("", room(found.importer))  # the package's own __init__ is everybody's
        and room(found.imported) not in table().get(room(found.importer), ())
    ]
    assert forbidden == [], "\n" + "\n".join(forbidden)


def test_the_packages_own_init_imports_none_of_its_rooms():
    assert [str(found) for found in imports() if found.importer == PACKAGE] == []


def test_nothing_imports_the_command_line():
    importers = {(room(found.imported), found.importer) for found in imports()}
    assert {who for what, who in importers if what == "cli"} == {f"{PACKAGE}.entry"}
    assert {who for what, who in importers if what == "entry"} == {f"{PACKAGE}.__main__"}
    assert [str(found) for found in imports() if room(found.imported) == "__main__"] == []


def test_no_circle_between_modules():
    found = circles((found.importer, found.imported) for found in imports())
    assert [" -> ".join(circle) for circle in found] == []


@pytest.mark.parametrize("package", [name for name, path in modules().items() if path.name == "__init__.py"])
def test_no_circle_between_a_packages_folders_and_modules(package):
    """A sub-folder counts as one, whichever of its modules import and are imported."""

    def part(module: str) -> str | None:
        within = module.startswith(f"{package}.")
        return module.removeprefix(f"{package}.").split(".")[0] if within else None

    pairs = [(part(found.importer), part(found.imported)) for found in imports()]
    found = circles((start, end) for start, end in pairs if start is not None and end is not None)
    assert [" -> ".join(circle) for circle in found] == []


# ---- files ---------------------------------------------------------------------------------------------------------
def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in (ROOT / PACKAGE).rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_docstring_of_every_package_names_what_is_in_it():
    missing = []
    for path in sorted((ROOT / PACKAGE).rglob("__init__.py")):
        contents = ast.get_docstring(ast.parse(path.read_text())) or ""
        named = set(re.findall(r"[\w./]+", contents))
        for entry in sorted(path.parent.iterdir()):
            name = f"{entry.name}/" if (entry / "__init__.py").exists() else entry.name
            if name.endswith((".py", "/")) and name != "__init__.py" and name not in named:
                missing.append(f"{path.relative_to(ROOT)} does not name {name}")
        ghosts = [name for name in named if re.fullmatch(r"\w+\.py|\w+/", name) and not (path.parent / name).exists()]
        missing += [f"{path.relative_to(ROOT)} names {name}, which is not there" for name in ghosts]
    assert missing == [], "\n" + "\n".join(missing)


def test_no_module_is_too_long():
    files = [path for folder in (PACKAGE, "benchmarks", "slurm") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_tests_mirror_the_package():
    tests, stray = ROOT / "tests", []
    for path in sorted(tests.rglob("test_*.py")):
        name = path.relative_to(tests)
        module = ROOT / PACKAGE / name.parent / name.name.removeprefix("test_")
        reasons = [key for key in OTHER_TESTS if str(name) == key or (key.endswith("/") and str(name).startswith(key))]
        if not module.exists() and not (module.with_suffix("") / "__init__.py").exists() and not reasons:
            stray.append(f"{path.relative_to(ROOT)}: there is no {module.relative_to(ROOT)}")
    assert stray == [], "name it after the module, or give its reason in OTHER_TESTS:\n" + "\n".join(stray)
    assert [key for key in OTHER_TESTS if not (tests / key).exists()] == [], "these reasons are for no test"


# ---- text files ----------------------------------------------------------------------------------------------------
def without_encoding(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that read or write a text file in the locale's encoding."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(word.arg in ("encoding", None) for word in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        receiver = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        given = [*node.args, *(word.value for word in node.keywords if word.arg == "mode")]
        texts = [item.value for item in given if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        modes = [text for text in texts if re.fullmatch(r"[rwaxbt+]{1,3}", text)]
        opens = name in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile")
        by_default = name == "open" and (not receiver or (not given and receiver not in ("record", "tensorboard")))
        if name in ("read_text", "write_text") or (opens and ("b" not in modes[0] if modes else by_default)):
            yield node


def test_every_text_file_is_read_and_written_as_utf_8():
    """A login node in another locale would garble reports, or stop at their first letter that is not ASCII."""
    found = []
    for folder in (PACKAGE, "benchmarks", "slurm"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            calls = without_encoding(ast.parse(path.read_text(encoding="utf-8")))
            found += [f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}" for call in calls]
    assert found == [], "\n".join(['give encoding="utf-8":', *found])


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("path.read_text()", True),
        ("path.read_text(errors='replace')", True),
        ("path.write_text(text, encoding='utf-8')", False),
        ("path.open()", True),
        ("path.open('a')", True),
        ("path.open(mode='r+b')", False),
        ("open(name)", True),
        ("open(name, 'wb')", False),
        ("os.open(name, os.O_RDONLY)", False),
        ("record.open()", False),
        ("NamedTemporaryFile('w', suffix='.b')", True),
    ],
)
def test_what_is_a_text_file_without_encoding(code, wrong):
    assert bool(list(without_encoding(ast.parse(code)))) is wrong
