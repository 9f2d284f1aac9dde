"""One stage, from its configuration to its exit code.

PyTorch takes longer to load than anything else, so it is loaded while the simulators start; nothing here needs it.
"""

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from td3_hpc.checkpoint import Checkpoint, CheckpointStore, has_checkpoint, newest_complete_step
from td3_hpc.checkpoint_names import STATE_DIR
from td3_hpc.config import CONFIG_FILE, AgentConfig, StageConfig, dump_yaml, load_resolved, load_stage, parse_resolved
from td3_hpc.config.changes import CHANGEABLE, CONTINUABLE, changes
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, ExitCode, file_error
from td3_hpc.record import RECORD_FILE, CheckpointSaved, PictureDrive, RunFinished, RunRecord, read_events
from td3_hpc.supervision.remote_supervisor_handle import remote_simulators
from td3_hpc.training.evaluation.picture import PictureTest
from td3_hpc.training.monitors.notify import read_channels
from td3_hpc.training.pretrained import refuse_untrained, weights_for
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation


def default_run_dir(config_path: Path, overrides: Sequence[str] = ()) -> Path:
    """Where a stage's run lives unless told otherwise."""
    return Path("checkpoints") / load_stage(config_path, overrides).name


def train(
    config_path: Path,
    run_dir: Path,
    overrides: Sequence[str] = (),
    picture: PictureTest | None = None,
    keep_fresh: Sequence[Path] = (),
) -> ExitCode:
    """Run or continue the stage in its run directory; `picture`: the test that is made on the way.

    `keep_fresh`: what else than the run's own files must not look old to a scratch purge.

    Returns DONE, PREEMPTED where a signal stopped it with a checkpoint saved, or NO_GO where the test of the picture
    ended it. Raises BadInput before anything is started, UserError where the run cannot go on.
    """
    config = load_stage(config_path, overrides)
    check_unchanged(run_dir, config)
    if _is_complete(run_dir, config):
        print(f"{run_dir}: all {config.training.total_steps} steps are done; nothing to do")
        return ExitCode.DONE
    if picture is not None:
        came_to_it = (newest_complete_step(run_dir) or 0) >= picture.from_step  # a long record is not read in vain
        if came_to_it and picture.is_missed(read_events(run_dir / RECORD_FILE, PictureDrive)):
            return ExitCode.NO_GO
        picture.check(config)
    _check_learner(config)
    if config.agent.pretrained is not None and not has_checkpoint(run_dir):
        weights_for(config.agent)
    read_channels(config.monitors.alerts)  # a mistake in them is told now, not with the first alert
    store = CheckpointStore(run_dir, config.checkpoint, keep_fresh=keep_fresh)
    with StopFlag() as stop:
        store.check_continuable()  # a run that must not go on is left as it is, to the last byte
        refuse_lost(run_dir, store.latest() is not None)
        _prepare_directory(run_dir)
        store.open_for_writing()
        try:
            store.messages += _differences_of_record(run_dir, store)
            _write_config(run_dir / CONFIG_FILE, config)
            return _attempt(config, run_dir, store, stop, picture)
        finally:
            store.close()


def _check_learner(config: StageConfig) -> None:
    """Refuse what this machine's PyTorch, or this package, does not have. What is always there loads nothing."""
    if config.training.device == "cuda" or config.agent.precision == "bfloat16" or config.training.kernels != "auto":
        from td3_hpc.training.device import check_precision, choose_device, choose_kernels

        device = choose_device(config)
        check_precision(config, device)
        choose_kernels(config, device, saved=None)
    if config.agent.encoder != AgentConfig().encoder:
        refuse_untrained(config.agent)


def _attempt(
    config: StageConfig, run_dir: Path, store: CheckpointStore, stop: StopFlag, picture: PictureTest | None
) -> ExitCode:
    """One attempt at the run, from the newest checkpoint where there is one."""
    checkpoint = store.latest()
    tree = checkpoint.state() if checkpoint else None
    if checkpoint is not None and tree is not None:
        _check_whose(checkpoint, tree, config)
    record = RunRecord(run_dir, is_ours=store.is_owner)
    record.step = int(tree["counters"]["step"]) if tree else 0
    with contextlib.closing(record), contextlib.ExitStack() as simulators:
        record.open(keep_bytes=tree["provenance"]["record_bytes"] if tree else 0)
        remote = remote_simulators()
        training = [
            Simulation(config, "training", run_dir, record, stop, index, remote=index in remote)
            for index in range(config.simulators)
        ]
        evaluation = [  # which the loop starts
            Simulation(config, "evaluation", run_dir, record, stop, index)
            for index in range(config.evaluation.simulators)
        ]
        for simulation in (*training, *evaluation):
            simulators.callback(simulation.close)
        for simulation in training:
            simulation.start()
        from td3_hpc.training.attempt import Attempt

        attempt = Attempt(config, run_dir, store, record, training, evaluation, stop, picture)
        return attempt.run(checkpoint, tree, simulators)


def _prepare_directory(run_dir: Path) -> None:
    try:
        (run_dir / "logs").mkdir(parents=True, exist_ok=True)
        (run_dir / "simulators").mkdir(exist_ok=True)
        probe = run_dir / f".writable-{socket.gethostname()}-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise file_error(
            error, f"{run_dir}: the run directory cannot be written ({error.strerror}); give another --run-dir"
        ) from error


def _write_config(path: Path, config: StageConfig) -> None:
    """Write config.yaml. One that means the same stays as it is: the version that wrote it can still read it."""
    if not path.exists() or changes(load_resolved(path), config):
        replace_file(path, dump_yaml(config).encode())


def check_unchanged(run_dir: Path, config: StageConfig) -> None:
    """Refuse a configuration that would make the run in this directory another run; one that has done nothing may
    become another."""
    path = run_dir / CONFIG_FILE
    if not path.exists():
        return
    old = load_resolved(path)
    if not has_checkpoint(run_dir) and not _is_complete(run_dir, old):
        return
    changed = changes(old, config, CHANGEABLE)
    if changed:
        raise BadInput(
            f"{run_dir}: holds a run of another configuration: {', '.join(changed)}. Undo the change, or give another "
            "--run-dir"
        )
    if config.training.total_steps < old.training.total_steps:
        raise BadInput(
            f"{run_dir}: training.total_steps may grow on resume, not shrink "
            f"({old.training.total_steps} -> {config.training.total_steps})"
        )


def _check_whose(checkpoint: Checkpoint, tree: dict[str, Any], config: StageConfig) -> None:
    """Refuse a checkpoint of another run, which somebody has put here."""
    path = checkpoint.run_dir / STATE_DIR / checkpoint.manifest.name
    old = parse_resolved(tree["config"], str(path))
    changed = changes(old, config, CONTINUABLE if "adopted_from" in checkpoint.manifest.tags else CHANGEABLE)
    if changed:
        raise BadInput(
            f"{path}: a checkpoint of another run: {', '.join(changed)}. Take it away, or give another --run-dir"
        )


def _is_complete(run_dir: Path, config: StageConfig) -> bool:
    """Whether the record tells of the last step, and its checkpoint is there: what a record says is not enough."""
    finished = read_events(run_dir / RECORD_FILE, RunFinished)
    total = config.training.total_steps
    return bool(finished) and finished[-1].step >= total and (newest_complete_step(run_dir) or 0) >= total


def _step_of_record(run_dir: Path) -> int:
    """Step of the furthest checkpoint that the record tells of; 0 where it tells of none."""
    saved = [event.at_step for event in read_events(run_dir / RECORD_FILE, CheckpointSaved)]
    return max([*saved, *(event.step for event in read_events(run_dir / RECORD_FILE, RunFinished))], default=0)


def refuse_lost(run_dir: Path, has_whole_one: bool) -> None:
    """Refuse to begin anew, and to cut the record for it, where the record tells of checkpoints. Raises BadInput."""
    step = _step_of_record(run_dir)
    if step and not has_whole_one:
        raise BadInput(
            f"{run_dir}: {RECORD_FILE} tells of a checkpoint of step {step}, but none is here; bring state/ and "
            f"replay/ back, or move {RECORD_FILE} away to begin anew"
        )


def _differences_of_record(run_dir: Path, store: CheckpointStore) -> list[str]:
    """Where the record tells of more than the checkpoints hold, in words; the checkpoints count."""
    said, newest = _step_of_record(run_dir), store.latest()
    if newest is None or said <= newest.manifest.step:
        return []
    return [
        f"{RECORD_FILE} tells of a checkpoint of step {said}; the newest whole one is of step {newest.manifest.step}, "
        "which counts"
    ]
