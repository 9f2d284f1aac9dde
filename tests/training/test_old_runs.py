"""A run of an earlier version goes on exactly, or says since when and why it does not, or is refused in one line."""

import json
import shutil
import signal
from pathlib import Path

import pytest

import td3_hpc
from td3_hpc.behaviour import BEHAVIOUR, behaviour_difference
from td3_hpc.checkpoint import diff, manifest, open_checkpoint
from td3_hpc.checkpoint.hdf5_file import checksum, tree_image, write_file
from td3_hpc.checkpoint_names import manifest_paths
from td3_hpc.config import read_yaml
from td3_hpc.config.formats import FORMAT
from tests.exported_policy import TOLD

PACKAGE = Path(td3_hpc.__file__).parent


def last_step(run):
    return max((event["step"] for event in run.events()), default=0)


def stop_at(run, step):
    """Stop a run in an episode after a step; returns the step of its checkpoint."""
    run.start()
    run.wait_for(lambda run: last_step(run) >= step)
    run.process.send_signal(signal.SIGTERM)
    code, output = run.finish()
    assert code == 75, output
    return run.events("stopped")[-1]["step"]


@pytest.fixture
def stopped(make_run, stopped_run):
    """A copy of a run that was stopped while it learned, to be changed."""
    run = make_run("stopped", **TOLD)
    shutil.copytree(stopped_run, run.directory)
    return run


def rewritten(run, change):
    """The newest checkpoint with its state's tree changed, whole in itself: as another version would write it."""
    checkpoint = open_checkpoint(run.directory)
    tree = checkpoint.state()
    change(tree)
    state = run.directory / checkpoint.manifest.state.path
    size, digest = write_file(state, tree_image(tree, {}))
    rewrite_manifest(run, lambda body: body["state"].update(bytes=size, xxh3_128=digest))


def rewrite_manifest(run, change):
    """The newest manifest, changed, with a checksum that fits."""
    (path, *_) = manifest_paths(run.directory)
    body = json.loads(path.read_bytes())
    del body["checksum"]
    change(body)
    stated = checksum(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
    path.write_text(json.dumps({**body, "checksum": stated}))


def as_first_format(run):
    """The run as a version before formats and behaviour numbers left it: nowhere a number, later keys missing."""

    def without_numbers(text):
        lines = text.removeprefix(f"format: {FORMAT}\n").splitlines(keepends=True)
        later = (
            "simulators:",
            "  saturation_penalty:",
            "  kernels:",
            "  final_episodes:",
            "  explore_after_standing:",
        )
        kept = [line for line in lines if not line.startswith(later)]
        assert len(kept) == len(lines) - len(later)
        return "".join(kept)

    def change(tree):
        tree["config"] = without_numbers(tree["config"])
        del tree["provenance"]["behaviour"]
        del tree["provenance"]["kernels"]
        for rollout in tree["rollouts"].values():
            for later in ("held_action", "held_for", "standing"):
                del rollout[later]
        del tree["policy_motion"]

    rewritten(run, change)
    path = run.directory / "config.yaml"
    path.write_text(without_numbers(path.read_text()))


def refused(run, *words):
    """`td3-hpc train` says so in one line, and nothing of the run has changed."""
    before = {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    code, output = run.train()
    assert code == 2, output
    (line,) = [line for line in output.splitlines() if line.strip()]
    assert all(word in line for word in words), line
    after = {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    assert after == before


def test_an_older_run_goes_on_with_the_values_of_then(make_run):
    """The run is this version's, with what came later taken out: its bytes stay the same."""
    as_then = {
        **TOLD,
        "training.kernels": "convolution",
        "agent.saturation_penalty": 0.0,
        "training.explore_after_standing": None,
    }
    whole, old = make_run("whole", **as_then), make_run("old", **as_then)
    whole.start()
    step = stop_at(old, 26)
    as_first_format(old)
    written = (old.directory / "config.yaml").read_text()

    code, output = old.train("-o", "training.kernels=auto")

    assert code == 0, output
    assert whole.finish()[0] == 0
    (config,) = diff(whole.directory, old.directory)
    assert config.what == "training.kernels (convolution -> auto)", "the way of then is taken without being named"
    assert [event["not_exact"] for event in old.events("attempt")] == [
        [],
        [f"step {step}: {behaviour_difference(1, BEHAVIOUR)}"],
    ]
    assert (old.directory / "config.yaml").read_text() == written, "it can be read by the version that wrote it"
    assert "format" not in read_yaml(old.directory / "config.yaml")


def test_a_version_that_drives_otherwise_says_since_when_and_why(stopped, tmp_path):
    """A copy of the package whose cars brake less, and whose number says so."""
    later = tmp_path / "later" / "td3_hpc"
    shutil.copytree(PACKAGE, later, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in (
        ("behaviour.py", "\n}\n", f'\n    {BEHAVIOUR + 1}: "cars brake less",\n}}\n'),
        ("simulator/physics.py", "_FULL_BRAKING, _FRONT_BRAKES = 1.1,", "_FULL_BRAKING, _FRONT_BRAKES = 0.15,"),
    ):
        text = (later / name).read_text()
        assert old in text
        (later / name).write_text(text.replace(old, new, 1))
    run, step = stopped, stopped.events("stopped")[-1]["step"]
    run.checkout = later.parent

    run.start()
    run.wait_for(lambda run: len(run.events("attempt")) == 2)
    run.process.send_signal(signal.SIGTERM)  # the rest of the run says no more
    code, output = run.finish()

    assert code in (0, 75), output
    reason = f"behaviour was {BEHAVIOUR}, is {BEHAVIOUR + 1} ({BEHAVIOUR + 1}: cars brake less)"
    assert f"step {step}: resumed, not exact from here: {reason}" in output
    assert run.events("attempt")[-1]["not_exact"] == [f"step {step}: {reason}"]
    assert run.events("attempt")[-1]["environment"]["behaviour"] == BEHAVIOUR + 1


def test_networks_of_other_shapes_are_refused(stopped):
    run = stopped

    def narrow(tree):
        weight = tree["agent"]["actor"]["head.last.weight"]
        tree["agent"]["actor"]["head.last.weight"] = weight[:, :-1].copy()

    rewritten(run, narrow)
    before = (run.directory / "config.yaml").read_bytes()
    code, output = run.train()
    assert code == 2, output
    line = output.splitlines()[-1]
    assert "does not fit this version of td3-hpc (actor.head.last.weight" in line
    assert "continue it with the version that wrote it, or give another --run-dir" in line
    assert (run.directory / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("what", ["checkpoint", "configuration"])
def test_a_run_of_a_later_version_is_refused(stopped, what):
    run = stopped
    if what == "checkpoint":
        rewrite_manifest(run, lambda body: body.update(format=99))
        known = f"has checkpoint format 99, and this version of td3-hpc knows formats up to {manifest.FORMAT}; use the"
        refused(run, known)
        return
    path = run.directory / "config.yaml"
    path.write_text(path.read_text().replace(f"format: {FORMAT}\n", "format: 99\nagent_of_the_future: 1\n"))
    refused(
        run,
        str(path),
        f"has configuration format 99, and this version of td3-hpc knows formats up to {FORMAT}; use the",
    )
