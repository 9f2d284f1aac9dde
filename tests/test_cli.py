import functools
import json
import os
import subprocess
import sys

import pytest
from typer.main import get_command

from td3_hpc import cli, entry
from tests.paths import ROOT

SLOW_TO_LOAD = ("torch", "numpy", "h5py", "pydantic", "carla", "cv2", "matplotlib")


def loaded_by(statement):
    code = f"import json, sys\n{statement}\nprint(json.dumps([name for name in {SLOW_TO_LOAD} if name in sys.modules]))"
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def test_help_loads_nothing_slow():
    assert loaded_by("from td3_hpc import entry\nentry._mount()") == []


def test_help_lists_every_command():
    command = [sys.executable, "-m", "td3_hpc"]
    found = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("train", "report", "evaluate", "simulator", "preflight", "doctor", "drill", "submit", "status"):
        assert f" {name} " in found
    for name in ("logs", "cancel", "checkpoint", "container", "campaign"):
        assert f" {name} " in found
    found = subprocess.run([*command, "checkpoint", "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("inspect", "verify", "diff", "prune", "continue", "set-aside"):
        assert f" {name} " in found


def test_a_run_starts_its_simulators_before_it_loads_pytorch():
    assert "torch" not in loaded_by("import td3_hpc.training.run")


def test_a_supervisor_loads_neither_the_schema_nor_the_client():
    assert loaded_by("import td3_hpc.supervision.supervisor") == []


def every_command(command, words=()):
    """Every command and group with the words that call it."""
    yield words, command
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from every_command(command.get_command(None, name), (*words, name))


@functools.cache
def commands():
    entry._mount()
    found = dict(every_command(get_command(cli.app)))
    return {words: command for words, command in found.items() if not command.hidden}


def test_every_help_text_has_an_example():
    without = [" ".join(words) for words, command in commands().items() if "Example" not in (command.help or "")]
    assert without == []


def test_every_command_with_a_table_prints_it_as_json_too():
    tables = {"preflight", "doctor", "drill", "status", "campaign status", "town", "evaluate"}
    tables |= {f"checkpoint {name}" for name in ("inspect", "verify", "diff", "prune")}
    for words in tables:
        options = [option for parameter in commands()[tuple(words.split())].params for option in parameter.opts]
        assert "--json" in options, words


def json_of(*words):
    return json.loads(subprocess.run([sys.executable, "-m", "td3_hpc", *words], capture_output=True).stdout)


def test_tables_as_json():
    assert {finding["check"] for finding in json_of("preflight", "try", "--json")} > {"configuration", "profile"}
    assert json_of("town", "Hamlet", "--json")["town"] == "Hamlet"
    assert "flipped-byte" in [drill["drill"] for drill in json_of("drill", "--list", "--json")]


#: Runs the command line as where only the bare package is installed.
BARE = """
import sys
extra = "torch submitit h5py hdf5plugin tensorboard gymnasium scenariogeneration matplotlib jinja2 markupsafe xxhash"
for name in (*extra.split(), "psutil", "onnx", "onnxruntime", "onnxscript", "safetensors"):
    sys.modules[name] = None
from td3_hpc.entry import main
main()
"""


def bare(*words, cwd):
    command = [sys.executable, "-c", BARE, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


@pytest.mark.parametrize(
    "words",
    ["train 1k", "evaluate 1k --policy random", "report .", "status .", "submit 1k --cluster local", "export .",
     "checkpoint inspect .", "preflight 1k", "campaign submit smoke --cluster local"],
)  # fmt: skip
def test_a_command_without_its_extra_says_in_one_line_what_to_install(tmp_path, words):
    done = bare(*words.split(), cwd=tmp_path)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert line.startswith("td3-hpc: this command needs "), done.stderr
    assert "pip install -c constraints.txt 'WHEEL[train]'" in line
    assert list(tmp_path.iterdir()) == [], "nothing was started"


def test_a_bare_installation_has_projects_towns_and_constraints(tmp_path):
    assert bare("init", "mine", cwd=tmp_path).returncode == 0
    assert "roads" in bare("town", "Hamlet", cwd=tmp_path).stdout
    assert "torch==" in bare("constraints", cwd=tmp_path).stdout
    assert "kill-node" in bare("testcluster", "--help", cwd=tmp_path).stdout


def test_a_terminal_that_lacks_a_letter_costs_that_letter():
    """A rule of the site is quoted in typographic quotes."""
    command = [sys.executable, "-m", "td3_hpc", "cluster", "check", "lumi"]
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, encoding="latin-1", env=latin)
    assert "Traceback" not in done.stderr, done.stderr
    assert "?On these partitions" in done.stdout


def test_the_shell_completes_commands():
    asked = {"_TD3_HPC_COMPLETE": "complete_bash", "COMP_WORDS": "td3-hpc tra", "COMP_CWORD": "1"}
    code = "import sys\nsys.argv[0] = 'td3-hpc'\nfrom td3_hpc.entry import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked})
    assert done.stdout.split() == ["train"], done.stderr
    assert {"--install-completion", "--show-completion"} <= {
        option for parameter in commands()[()].params for option in parameter.opts
    }
