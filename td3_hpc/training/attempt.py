"""One attempt at a run, once its simulators are starting: learner, loop, and what became of it."""

import contextlib
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.checkpoint import Checkpoint, CheckpointStore
from td3_hpc.checkpoint.hdf5_file import checksum
from td3_hpc.config import StageConfig
from td3_hpc.errors import ExitCode, UserError
from td3_hpc.record import FORMAT, AttemptStarted, Environment, RunFailed, RunFinished, RunRecord, RunStopped
from td3_hpc.replay import ReplayBuffer
from td3_hpc.supervision.supervisor_handle import SimulatorFailed
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.device import choose_device, choose_kernels
from td3_hpc.training.evaluation.picture import PictureTest
from td3_hpc.training.loop import Components, TrainingLoop
from td3_hpc.training.pretrained import weights_for
from td3_hpc.training.seeding import derived_seed, generator
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import Simulation
from td3_hpc.training.state import differences, provenance
from td3_hpc.training.telemetry.console import RunConsole
from td3_hpc.training.telemetry.telemetry import Telemetry
from td3_hpc.training.telemetry.tensorboard import TensorBoard


@dataclass(frozen=True)
class Attempt:
    """What an attempt begins with; the record is open."""

    config: StageConfig
    run_dir: Path
    store: CheckpointStore
    record: RunRecord
    training: Sequence[Simulation]
    evaluation: Sequence[Simulation]
    stop: StopFlag
    picture: PictureTest | None

    def run(
        self, checkpoint: Checkpoint | None, tree: dict[str, Any] | None, simulators: contextlib.ExitStack
    ) -> ExitCode:
        """Go on from a checkpoint and its tree, or begin; `simulators` are closed in the end, before the rest."""
        config, record = self.config, self.record
        device = choose_device(config)
        kernels = choose_kernels(config, device, tree["provenance"] if tree else None)
        here = provenance(device, config.training.threads, kernels) | {"pretrained": self._pretrained(tree)}
        with (
            contextlib.ExitStack() as stack,
            RunConsole(config.name, config.training.total_steps, record.step) as console,
        ):
            tensorboard = TensorBoard(self.run_dir / "tensorboard", config.logging.tensorboard)
            stack.callback(tensorboard.close)
            tensorboard.open(keep=tree["provenance"]["tensorboard_bytes"] if tree else {})
            not_exact = self._note(console, checkpoint, tree, here)
            here["not_exact_from"] = {str(index): reason for index, reason in enumerate(not_exact)}
            telemetry = Telemetry(config, record, tensorboard, console)
            stack.callback(telemetry.close)
            stack.enter_context(simulators.pop_all())
            agent = TD3Agent(config.agent, device, derived_seed(config.seed, "agent"), kernels=kernels)
            if tree is None and config.agent.pretrained is not None:
                agent.begin_with(weights_for(config.agent))
            components = Components(
                agent=agent,
                replay=ReplayBuffer(config.replay.capacity, generator(config.seed, "replay")),
                training=self.training,
                evaluation=self.evaluation,
                store=self.store,
                record=record,
                tensorboard=tensorboard,
                telemetry=telemetry,
                stop=self.stop,
                picture=self.picture,
                on_step=lambda step: console.progress(step, ""),
            )
            return _run_loop(TrainingLoop(config, components, here), components, console, checkpoint, tree)

    def _pretrained(self, tree: dict[str, Any] | None) -> str:
        """Digest of the file that the CNNs began with; empty where they began anew."""
        if tree is not None:
            return str(tree["provenance"].get("pretrained", ""))
        path = self.config.agent.pretrained
        return checksum(path.read_bytes()) if path is not None else ""

    def _note(
        self,
        console: RunConsole,
        checkpoint: Checkpoint | None,
        tree: dict[str, Any] | None,
        here: dict[str, Any],
    ) -> list[str]:
        """Write the attempt's first event; returns since when the run is not exact, and why (empty: it is)."""
        record, store = self.record, self.store
        not_exact: list[str] = []
        for message in store.messages:
            console.line(message)
        if tree is not None:
            noted = tree["provenance"]["not_exact_from"]
            not_exact = [noted[index] for index in sorted(noted, key=int)]  # the file has them by name: 1, 10, 2
            changes = differences(tree["provenance"], here, self.config.agent.precision)
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
                continues_stage=checkpoint is not None and "adopted_from" in checkpoint.manifest.tags,
                not_exact=not_exact,
                messages=list(store.messages),
                pid=os.getpid(),
                environment=Environment.model_validate(
                    {key: value for key, value in here.items() if not isinstance(value, dict | list)}
                ),
            )
        )
        return not_exact


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
        code = loop.run()
    except UserError as error:
        simulator = error.simulator if isinstance(error, SimulatorFailed) else None
        components.record.append(RunFailed(code=error.code, reason=str(error), cause=error.cause, simulator=simulator))
        raise
    if code == ExitCode.PREEMPTED:
        return _stopped(components, console, loop.counters.step)
    if code == ExitCode.NO_GO:
        console.line(f"step {loop.counters.step}: ended: the picture does not matter to the policy")
        return code
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
