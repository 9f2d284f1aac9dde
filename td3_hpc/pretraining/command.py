"""`td3-hpc pretrain`: drives, then epochs, then a file that `agent.pretrained` names."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import read_tree, tree_image, write_file
from td3_hpc.config import CONFIG_FILE, StageConfig, dump_yaml, load_resolved, load_stage
from td3_hpc.config.changes import changes
from td3_hpc.durable import replace_file, require_folder
from td3_hpc.errors import BadInput, UserError
from td3_hpc.pretraining.drives import collect, read_episodes
from td3_hpc.pretraining.fitting import Fitting, Samples
from td3_hpc.record import RunRecord
from td3_hpc.td3 import state as trees
from td3_hpc.training.device import choose_device
from td3_hpc.training.pretrained import EncoderFile, write_encoder
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import Simulation

ENCODER = "distances"


def pretrain(stage: Path, output: Path, episodes: int, epochs: int, overrides: list[str]) -> dict[str, float]:
    """Drive, fit and write the file; returns how well it does on held-out episodes.

    What is done is kept in a folder beside it, `OUTPUT.drives`, and the same call goes on from there. Raises BadInput
    for a configuration that the folder was not begun with, UserError at a stop signal.
    """
    config = load_stage(stage, overrides)
    if not config.environment.reward.heeds_hazards:
        raise BadInput(f"{stage}: environment.reward.heeds_hazards is off: nothing tells what is ahead; set it to true")
    require_folder(output)
    folder = output.with_name(f"{output.name}.drives")
    _prepare(folder, config)
    console = Console(highlight=False, soft_wrap=True)
    try:
        with StopFlag() as stop, Progress(console=console, disable=not console.is_terminal) as progress:
            with _simulations(config, folder, stop) as simulations:
                bar = progress.add_task("episodes", total=episodes)
                collect(
                    config, folder, simulations, episodes, stop, lambda there: progress.update(bar, completed=there)
                )
            return _fit(config, folder, output, episodes, epochs, stop, console)
    except StopRequested:
        raise UserError(f"pretrain: stopped; the same command goes on with what is in {folder}") from None


def _prepare(folder: Path, config: StageConfig) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("logs", "simulators"):
        (folder / name).mkdir(exist_ok=True)
    path = folder / CONFIG_FILE
    if not path.exists():
        replace_file(path, dump_yaml(config).encode())
    elif changed := changes(load_resolved(path), config):
        raise BadInput(f"{folder}: holds drives of another configuration: {', '.join(changed)}. Give another --output")


@contextlib.contextmanager
def _simulations(config: StageConfig, folder: Path, stop: StopFlag) -> Iterator[list[Simulation]]:
    """The stage's training simulators, running."""
    record = RunRecord(folder)
    record.open()
    with contextlib.closing(record), contextlib.ExitStack() as started:
        made = [Simulation(config, "training", folder, record, stop, index) for index in range(config.simulators)]
        for simulation in made:
            started.callback(simulation.close)
            simulation.start()
        yield made


def _fit(
    config: StageConfig, folder: Path, output: Path, episodes: int, epochs: int, stop: StopFlag, console: Console
) -> dict[str, float]:
    choose_device(config)
    fitting = Fitting(Samples.of(read_episodes(folder, episodes), episodes), config.seed, epochs)
    state = folder / f"fitting-{episodes}-{epochs}.h5"
    if state.exists():
        try:
            fitting.load_state(read_tree(state))
        except (CheckpointDamaged, KeyError, ValueError) as error:
            raise BadInput(f"{state}: damaged ({error}); delete it, and give the command again") from None
    figures = fitting.figures()
    while fitting.epoch < epochs:
        loss = fitting.run_epoch(stop)
        write_file(state, tree_image(fitting.state(), {}))
        figures = fitting.figures()
        said = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
        console.print(f"epoch {fitting.epoch} of {epochs}: loss {loss:.4f}; {said}")
    weights = trees.network_state(fitting.encoder)
    write_encoder(output, EncoderFile(ENCODER, weights, dump_yaml(config), figures))
    return figures
