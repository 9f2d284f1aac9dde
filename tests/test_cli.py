import json
import subprocess
import sys

SLOW_TO_LOAD = ("torch", "numpy", "h5py", "pydantic", "carla", "cv2", "matplotlib")


def loaded_by(statement):
    code = f"import json, sys\n{statement}\nprint(json.dumps([name for name in {SLOW_TO_LOAD} if name in sys.modules]))"
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def test_help_loads_nothing_slow():
    assert loaded_by("from td3_hpc import cli\ncli._mount()") == []


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
