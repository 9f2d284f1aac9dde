"""One stage, from its configuration to its exit code."""

import contextlib
import os
import resource
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from td3_hpc.checkpoint import Checkpoint, CheckpointStore, has_checkpoint, newest_complete_step
from td3_hpc.checkpoint_names import STATE_DIR
from td3_hpc.config import CONFIG_FILE, StageConfig, dump_yaml, load_resolved, load_stage, parse_resolved
from td3_hpc.config.changes import CHANGEABLE, CONTINUABLE, changes
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, ExitCode, UserError
from td3_hpc.record import (
    FORMAT,
    RECORD_FILE,
    AttemptStarted,
    CheckpointSaved,
    Environment,
    RunFailed,
    RunFinished,
    RunRecord,
    RunStopped,
    read_events,
)
from td3_hpc.replay import ReplayBuffer
from td3_hpc.supervision.remote_supervisor_handle import remote_simulators
from td3_hpc.supervision.supervisor_handle import SimulatorFailed
from td3_hpc.td3 import TD3Agent
from td3_hpc.td3.encoders import encoder_named
from td3_hpc.training.device import check_precision, choose_device, choose_kernels
from td3_hpc.training.loop import Components, TrainingLoop
from td3_hpc.training.monitors.notify import read_channels
from td3_hpc.training.seeding import derived_seed, generator
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import Simulation
from td3_hpc.training.state import differences, provenance
from td3_hpc.training.telemetry.console import RunConsole
from td3_hpc.training.telemetry.telemetry import Telemetry
from td3_hpc.training.telemetry.tensorboard import TensorBoard


def default_run_dir(config_path: Path, overrides: Sequence[str] = ()) -> Path:
    """Where a stage's run lives unless told otherwise."""
    return Path("checkpoints") / load_stage(config_path, overrides).name


def train(config_path: Path, run_dir: Path, overrides: Sequence[str] = ()) -> ExitCode:
    """Run or continue the stage in its run directory.

    Returns DONE, or PREEMPTED where a signal stopped it with a checkpoint saved. Raises BadInput before anything is
    started, UserError where the run cannot go on.
    """
    config = load_stage(config_path, overrides)
    check_unchanged(run_dir, config)
    if _is_complete(run_dir, config):
        print(f"{run_dir}: all {config.training.total_steps} steps are done; nothing to do")
        return ExitCode.DONE
    check_precision(config, choose_device(config))
    read_channels(config.monitors.alerts)  # a mistake in them is told now, not with the first alert
    encoder_named(config.agent.encoder)
    store = CheckpointStore(run_dir, config.checkpoint)
    with StopFlag() as stop:
        store.check_continuable()  # a run that must not go on is left as it is, to the last byte
        _refuse_lost(run_dir, store)
        _prepare_directory(run_dir)
        store.open_for_writing()
        try:
            store.messages += _differences_of_record(run_dir, store)
            _write_config(run_dir / CONFIG_FILE, config)
            return _attempt(config, run_dir, store, stop)
        finally:
            store.close()


def _attempt(config: StageConfig, run_dir: Path, store: CheckpointStore, stop: StopFlag) -> ExitCode:
    """One attempt at the run, from the newest checkpoint where there is one."""
    checkpoint = store.latest()
    tree = checkpoint.state() if checkpoint else None
    if checkpoint is not None and tree is not None:
        _check_whose(checkpoint, tree, config)
    first_step = int(tree["counters"]["step"]) if tree else 0
    record = RunRecord(run_dir)
    record.step = first_step
    device = choose_device(config)
    kernels = choose_kernels(config, device, tree["provenance"] if tree else None)
    here = provenance(device, config.training.threads, kernels)
    with contextlib.ExitStack() as stack, RunConsole(config.name, config.training.total_steps, first_step) as console:
        tensorboard = TensorBoard(run_dir / "tensorboard", config.logging.tensorboard)
        stack.callback(record.close)
        stack.callback(tensorboard.close)
        saved_files = tree["provenance"] if tree else None
        record.open(keep_bytes=saved_files["record_bytes"] if saved_files else 0)
        tensorboard.open(keep=saved_files["tensorboard_bytes"] if saved_files else {})
        not_exact = _note_attempt(config, record, console, checkpoint, tree, here, store)
        here["not_exact_from"] = {str(index): reason for index, reason in enumerate(not_exact)}
        telemetry = Telemetry(config, record, tensorboard, console)
        stack.callback(telemetry.close)
        remote = remote_simulators()
        simulations = [
            Simulation(config, "training", run_dir, record, stop, index, remote=index in remote)
            for index in range(config.simulators)
        ]
        evaluation = Simulation(config, "evaluation", run_dir, record, stop)
        for simulation in (*simulations, evaluation):
            stack.callback(simulation.close)
            simulation.start()
        components = Components(
            agent=TD3Agent(config.agent, device, derived_seed(config.seed, "agent"), kernels=kernels),
            replay=ReplayBuffer(config.replay.capacity, generator(config.seed, "replay")),
            training=simulations,
            evaluation=evaluation,
            store=store,
            record=record,
            tensorboard=tensorboard,
            telemetry=telemetry,
            stop=stop,
            on_step=lambda step: console.progress(step, ""),
        )
        return _run_loop(TrainingLoop(config, components, here), components, console, checkpoint, tree)


def _run_loop(
    loop: TrainingLoop,
    components: Components,
    console: RunConsole,
    checkpoint: Checkpoint | None,
    tree: dict[str, Any] | None,
) -> ExitCode:
    try:
        if checkpoint is not None and tree is not None:
            try:
                loop.restore(checkpoint, tree)
            except StopRequested:  # nothing new since the checkpoint
                return _stopped(components, console, loop.counters.step)
        finished = loop.run()
    except UserError as error:
        simulator = error.simulator if isinstance(error, SimulatorFailed) else None
        components.record.append(RunFailed(code=error.code, reason=str(error), cause=error.cause, simulator=simulator))
        raise
    if not finished:
        return _stopped(components, console, loop.counters.step)
    counters = loop.counters
    components.record.append(
        RunFinished(
            updates=components.agent.updates,
            actor_updates=components.agent.actor_updates,
            episodes=counters.episode,
            evaluations=counters.evaluations,
            replay_rows=components.replay.next_row - components.replay.first_row,
            memory_peak_mib=_peak_memory_mib(),
        )
    )
    console.line(
        f"done: {counters.step} steps, {components.agent.updates} updates, {components.agent.actor_updates} actor "
        f"updates, {counters.evaluations} evaluations, {counters.episode} episodes"
    )
    return ExitCode.DONE


def _stopped(components: Components, console: RunConsole, step: int) -> ExitCode:
    name = components.stop.signal_name or "stop"
    components.record.append(RunStopped(signal=name, memory_peak_mib=_peak_memory_mib()))
    console.line(f"step {step}: stopped by {name} with a checkpoint saved; the same command continues")
    return ExitCode.PREEMPTED


def _peak_memory_mib() -> int:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _prepare_directory(run_dir: Path) -> None:
    try:
        (run_dir / "logs").mkdir(parents=True, exist_ok=True)
        (run_dir / "simulators").mkdir(exist_ok=True)
        probe = run_dir / f".writable-{socket.gethostname()}-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInput(
            f"{run_dir}: the run directory cannot be written ({error.strerror}); give another --run-dir"
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


def _refuse_lost(run_dir: Path, store: CheckpointStore) -> None:
    """Refuse to begin anew, and to cut the record for it, where the record tells of checkpoints."""
    step = _step_of_record(run_dir)
    if step and store.latest() is None:
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


def _note_attempt(
    config: StageConfig,
    record: RunRecord,
    console: RunConsole,
    checkpoint: Checkpoint | None,
    tree: dict[str, Any] | None,
    here: dict[str, Any],
    store: CheckpointStore,
) -> list[str]:
    """Write the attempt's first event; returns since when the run is not exact, and why (empty: it is)."""
    not_exact: list[str] = []
    for message in store.messages:
        console.line(message)
    if tree is not None:
        not_exact = list(tree["provenance"]["not_exact_from"].values())
        changes = differences(tree["provenance"], here, config.agent.precision)
        if changes:
            not_exact.append(f"step {record.step}: {'; '.join(changes)}")
            console.line(f"step {record.step}: resumed, not exact from here: {'; '.join(changes)}")
        else:
            console.line(f"step {record.step}: resumed from its checkpoint")
    record.append(
        AttemptStarted(
            format=FORMAT,
            epoch=store.epoch,
            resumed_from=record.step if checkpoint else None,
            not_exact=not_exact,
            messages=list(store.messages),
            pid=os.getpid(),
            environment=Environment.model_validate(
                {key: value for key, value in here.items() if not isinstance(value, dict | list)}
            ),
        )
    )
    return not_exact
