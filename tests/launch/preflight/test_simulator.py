"""Versions, towns and ports, asked of real servers, real folders and real sockets."""

import socket
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.launch.preflight.finding import Doubt, Mistake, NotLearnt
from td3_hpc.launch.preflight.simulator import (
    check_carla_machine,
    check_ports,
    check_town,
    check_version,
    check_weather_and_vehicle,
)
from tests.conftest import SimulatorServer
from tests.launch.preflight.plans import plan
from tests.paths import ROOT

HAMLET = ROOT / "td3_hpc" / "simulator" / "own_towns" / "Hamlet.xodr"


@pytest.fixture
def carla_root(tmp_path: Path) -> Path:
    """The parts of CARLA's published layout that preflight looks at."""
    root = tmp_path / "carla"
    binary = root / "CarlaUE4" / "Binaries" / "Linux" / "CarlaUE4-Linux-Shipping"
    binary.parent.mkdir(parents=True)
    binary.touch(mode=0o755)
    towns = root / "CarlaUE4" / "Content" / "Carla" / "Maps" / "OpenDrive"
    towns.mkdir(parents=True)
    for name in ("Town01", "Town10HD_Opt"):
        (towns / f"{name}.xodr").touch()
    (root / "VERSION").write_text("0.9.16\n")
    return root


def carla(root: Path, *more: str) -> tuple[str, ...]:
    return ("simulator.kind=carla", f"simulator.carla_root={root}", "environment.town=Town01", *more)


def test_another_version_than_the_clients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"simulator\.version 0\.9\.15, but the carla client of this package is 0\.9\.16"):
        check_version(plan(tmp_path / "run", "simulator.version=0.9.15"))


def test_an_installation_of_another_version_is_refused(tmp_path: Path, carla_root: Path) -> None:
    assert "0.9.16" in check_version(plan(tmp_path / "run", *carla(carla_root)))
    (carla_root / "VERSION").write_text("0.9.14-dirty")

    with pytest.raises(Mistake, match=r"is CARLA 0\.9\.14-dirty, the client is 0\.9\.16"):
        check_version(plan(tmp_path / "run", *carla(carla_root)))


def test_external_servers_are_asked(tmp_path: Path, hamlet_server: SimulatorServer) -> None:
    port = hamlet_server.port
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        silent = nobody.getsockname()[1]
        external = ("simulator.kind=external", f"simulator.port={port}", f"simulator.evaluation_port={silent}")

        with pytest.raises(Mistake, match=rf"127\.0\.0\.1:{silent}: no simulator answers"):
            check_version(plan(tmp_path / "run", *external))
        with pytest.raises(NotLearnt, match=rf"127\.0\.0\.1:{silent} does not answer from here"):
            check_version(plan(tmp_path / "run", *external, scheduler="slurm"))


@pytest.mark.parametrize("town", ["Hamlet", str(HAMLET)])
def test_a_town_that_there_is(tmp_path: Path, town: str) -> None:
    assert town in check_town(plan(tmp_path / "run", f"environment.town={town}"))


def test_a_town_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path, carla_root: Path) -> None:
    with pytest.raises(BadInput, match=r"town Hamlett: .*did you mean Hamlet\?"):
        check_town(plan(tmp_path / "run", "environment.town=Hamlett"))
    with pytest.raises(Mistake, match=r"Town02: not one of .*: Town01, Town10HD_Opt"):
        check_town(plan(tmp_path / "run", *carla(carla_root, "environment.town=Town02")))
    assert "Town01" in check_town(plan(tmp_path / "run", *carla(carla_root)))


@pytest.mark.parametrize("town", ["Town12", "MyMap", "map_package/Maps/MyMap/MyMap"])
def test_large_maps_and_those_of_packages_are_found(tmp_path: Path, carla_root: Path, town: str) -> None:
    content = carla_root / "CarlaUE4" / "Content"
    for folder, name in (("Carla/Maps/Town12", "Town12"), ("map_package/Maps/MyMap", "MyMap")):
        (content / folder / "OpenDrive").mkdir(parents=True)
        (content / folder / "OpenDrive" / f"{name}.xodr").touch()
    (content / "Carla/Maps/Town12/Town12.xodr").touch()  # not where CARLA looks

    assert town in check_town(plan(tmp_path / "run", *carla(carla_root, f"environment.town={town}")))


def test_weather_and_vehicle_that_there_are_not_are_refused_with_those_there_are(tmp_path: Path) -> None:
    assert "ClearNoon; vehicle.tesla.model3" in check_weather_and_vehicle(plan(tmp_path / "run"))
    with pytest.raises(BadInput, match=r"environment\.weather Sunny: CARLA knows ClearNight, ClearNoon"):
        check_weather_and_vehicle(plan(tmp_path / "run", "environment.weather=[Sunny]"))
    with pytest.raises(Mistake, match=r"the nearest: vehicle\.tesla\.model3"):
        check_weather_and_vehicle(plan(tmp_path / "run", "environment.vehicle=vehicle.tesla.model4"))


def test_files_that_the_job_would_not_find_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    relative = str(HAMLET.relative_to(ROOT))

    with pytest.raises(Mistake, match=r"environment\.town .*: the job runs in its run directory") as caught:
        check_town(plan(tmp_path / "run", f"environment.town={relative}"))
    assert caught.value.change == f"write it in full: {HAMLET}"

    image = {"image": "/i.sif"}
    with pytest.raises(Mistake, match="not bound into the container") as caught:
        check_town(plan(tmp_path / "run", f"environment.town={HAMLET}", container=image))
    assert f"add {HAMLET.parent} to container.binds" in caught.value.change

    bound = {"image": "/i.sif", "binds": [f"{HAMLET.parent}:/towns:ro"]}
    assert "/towns/Hamlet.xodr" in check_town(
        plan(tmp_path / "run", "environment.town=/towns/Hamlet.xodr", container=bound)
    )
    with pytest.raises(Mistake, match=r"/towns/Hamlett\.xodr: no such file"):
        check_town(plan(tmp_path / "run", "environment.town=/towns/Hamlett.xodr", container=bound))


def test_carla_is_given_a_gpu_and_its_driver(tmp_path: Path, carla_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, there = tmp_path / "run", carla(carla_root)
    assert check_carla_machine(plan(run)) == "not needed: the simulator is embedded"

    with pytest.raises(Mistake, match="the profile asks for none") as caught:
        check_carla_machine(plan(run, *there, scheduler="slurm"))
    assert caught.value.change == "set gres: gpu:1 in configs/clusters/here.yaml"
    with pytest.raises(Mistake, match="without a GPU's driver"):
        check_carla_machine(plan(run, *there, scheduler="slurm", gres="gpu:1", container={"image": "/i.sif"}))
    with pytest.raises(Mistake, match="none for AMD's GPUs") as caught:
        check_carla_machine(plan(run, *there, scheduler="slurm", gres="gpu:1", container={"image": "/i", "gpu": "amd"}))
    assert caught.value.change.endswith("else simulator.kind: embedded in the stage")
    whole = {"image": "/i.sif", "gpu": "nvidia", "binds": [str(tmp_path)]}
    with pytest.raises(Doubt, match="asks Slurm for no GPU: right where a partition's nodes come whole"):
        check_carla_machine(plan(run, *there, scheduler="slurm", container=whole))
    with pytest.raises(Mistake, match="CarlaUE4-Linux-Shipping: no such file"):
        check_carla_machine(plan(run, *carla(tmp_path), scheduler="slurm", gres="gpu:1"))
    assert "with gpu:1" in check_carla_machine(plan(run, *there, scheduler="slurm", gres="gpu:1"))
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(Mistake, match="CARLA is made for x86_64; the nodes are aarch64"):
        check_carla_machine(plan(run, *there))


def test_a_port_in_use_here_is_refused_where_the_job_shares_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = f"environment.traffic.port={port}"

        with pytest.raises(Mistake, match=rf"environment\.traffic\.port: port {port} is in use on this machine"):
            check_ports(plan(tmp_path / "run", taken))
        own = {"image": "/i.sif", "network": "loopback"}
        assert "in the job's own network" in check_ports(plan(tmp_path / "run", taken, container=own))


def test_ports_that_overlap_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"simulator\.port and environment\.traffic\.port both take port 8002"):
        check_ports(plan(tmp_path / "run", "simulator.port=8000", "environment.traffic.port=8002", scheduler="slurm"))
