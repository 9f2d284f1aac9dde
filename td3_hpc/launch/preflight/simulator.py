"""Does the simulator that the stage asks for fit the client, the town and the machine?"""

import platform
import socket
import time
from difflib import get_close_matches
from pathlib import Path

import td3_hpc
from td3_hpc.config import StageConfig
from td3_hpc.errors import BadInput
from td3_hpc.launch.preflight.cluster import node_architectures
from td3_hpc.launch.preflight.container import inside
from td3_hpc.launch.preflight.finding import Doubt, Mistake, NotLearnt
from td3_hpc.launch.preflight.plan import Plan
from td3_hpc.supervision.heartbeat import VersionCall
from td3_hpc.supervision.launch_command import CARLA_BINARY
from td3_hpc.supervision.ports import BLOCK, first_taken

ANSWER_S = 2.0
#: Where CARLA keeps its towns: the roads of each as OpenDRIVE, for clients to read. Large maps, and those of imported
#: packages, have folders of their own.
_CARLA_TOWNS = "*/Maps/**/OpenDrive/*.xodr"


def check_version(plan: Plan) -> str:
    """The server is of the client's version; the client library refuses to work with any other."""
    simulator, client = plan.stage.simulator, td3_hpc.CARLA_VERSION
    if simulator.version != client:
        raise Mistake(
            f"simulator.version {simulator.version}, but the carla client of this package is {client}",
            f"set simulator.version to {client} and use a server of that version",
        )
    if simulator.kind == "embedded":
        return f"client and embedded server {client}"
    if simulator.kind == "carla":
        return _carla_version(plan, client)
    return _external_versions(plan, client)


def _carla_version(plan: Plan, client: str) -> str:
    root = _carla_root(plan.stage)
    host = plan.on_host(root)
    if host is None:
        text = inside(plan, "cat", str(root / "VERSION")).strip()
    elif (host / "VERSION").is_file():
        text = (host / "VERSION").read_text(encoding="utf-8").strip()
    else:
        text = ""
    if not text:
        raise NotLearnt(f"client {client}; {root} has no VERSION file: the server is asked when it starts")
    if not text.startswith(client):
        raise Mistake(f"{root} is CARLA {text}, the client is {client}", f"install CARLA {client}")
    return f"client {client}, {root}: {text}"


def _external_versions(plan: Plan, client: str) -> str:
    simulator = plan.stage.simulator
    for port in (simulator.port, simulator.evaluation_port):
        version = _ask_version(simulator.host, port)
        where = f"{simulator.host}:{port}"
        if version is None:
            if plan.profile.queued:
                raise NotLearnt(f"{where} does not answer from here; the nodes may reach it")
            raise Mistake(f"{where}: no simulator answers", "start it, or correct simulator.host and the ports")
        if version != client:
            raise Mistake(f"{where} is version {version}, the client is {client}", f"start a server of {client}")
    return f"client {client}, and both servers at {simulator.host}"


def _ask_version(host: str, port: int) -> str | None:
    call, deadline = VersionCall(host, port), time.monotonic() + ANSWER_S
    while call.version is None and time.monotonic() < deadline:
        call.advance(0.05)
        time.sleep(0.05)
    call.close()
    return call.version


def check_town(plan: Plan) -> str:
    """The simulator has the town, and a job, which runs in its run directory, finds it."""
    stage = plan.stage
    town, kind = stage.environment.town, stage.simulator.kind
    if town.endswith(".xodr"):
        return _town_file(plan, Path(town))
    if kind == "external":
        raise NotLearnt(f"{town}: the external server is asked when the run starts")
    if kind == "carla":
        return _carla_town(plan, town)
    from td3_hpc.simulator.towns import load_town  # loads the client library

    maps = stage.simulator.maps
    healed = load_town(town, visible(plan, maps, "simulator.maps") if maps else None).healed
    return f"{town}, of the embedded simulator" + (f" with {maps}" if maps else "") + _told(healed)


def check_weather_and_vehicle(plan: Plan) -> str:
    """The client knows the weather; the embedded simulator has the vehicle (others are asked when the run starts)."""
    from td3_hpc.driving.blueprints import weather_preset  # loads the client library
    from td3_hpc.simulator.blueprints import library

    environment = plan.stage.environment
    for name in environment.weather:
        weather_preset(name)
    vehicles = [name for name in library() if name.startswith("vehicle.")]
    if plan.stage.simulator.kind == "embedded" and environment.vehicle not in vehicles:
        near = ", ".join(get_close_matches(environment.vehicle, vehicles, cutoff=0))
        raise Mistake(
            f"{environment.vehicle}: not a vehicle of the embedded simulator; the nearest: {near}",
            "correct environment.vehicle",
        )
    return f"{', '.join(environment.weather)}; {environment.vehicle}"


def _town_file(plan: Plan, path: Path) -> str:
    from td3_hpc.simulator.towns import load_town

    healed = load_town(str(visible(plan, path, "environment.town")), None).healed
    return f"{path}: its roads can be driven" + _told(healed)


def _told(healed: tuple[str, ...]) -> str:
    """What was healed, after the rest of the line."""
    return f"; as served: {'; '.join(healed)}" if healed else ""


def _carla_town(plan: Plan, town: str) -> str:
    folder = _carla_root(plan.stage) / "CarlaUE4" / "Content"
    host = plan.on_host(folder)
    if host is None:
        files = [Path(line) for line in inside(plan, "find", str(folder), "-path", "*/Maps/*.xodr").splitlines()]
    else:
        files = list(host.glob(_CARLA_TOWNS))
    towns = sorted(file.stem for file in files if file.parent.name == "OpenDrive")
    if not towns:
        raise NotLearnt(f"{town}: no towns seen in {folder}; the server is asked when the run starts")
    if Path(town).name not in towns:  # CARLA takes a map's whole path, too
        raise Mistake(f"{town}: not one of {folder}: {', '.join(towns)}", "correct environment.town")
    return f"{town}, of {folder}"


def visible(plan: Plan, path: Path, key: str) -> Path:
    """The path on this machine. Raises Mistake where the job would not see it."""
    if not path.is_absolute():
        raise Mistake(f"{key} {path}: the job runs in its run directory", f"write it in full: {path.absolute()}")
    host = plan.on_host(path)
    if host is None:
        raise Mistake(
            f"{key} {path}: not bound into the container",
            f"add {path.parent} to container.binds in {plan.profile_file}",
        )
    if not host.exists():
        raise Mistake(f"{key} {path}: no such file or folder", f"correct {key}")
    return host


def check_carla_machine(plan: Plan) -> str:
    """CARLA's binary is there, and is given a GPU."""
    stage, profile = plan.stage, plan.profile
    if stage.simulator.kind != "carla":
        return f"not needed: the simulator is {stage.simulator.kind}"
    unasked = profile.queued and profile.gpu_request is None
    if unasked and not profile.brings_driver:
        raise Mistake("CARLA renders on a GPU; the profile asks for none", f"set gres: gpu:1 in {plan.profile_file}")
    if profile.no_carla:
        remedy = f"set container.gpu: nvidia in {plan.profile_file} where its nodes have NVIDIA's GPUs"
        raise Mistake(profile.no_carla, f"{remedy}, else simulator.kind: embedded in the stage")
    nodes = node_architectures(plan) if profile.queued else {platform.machine()}
    if nodes and "x86_64" not in nodes:
        raise Mistake(
            f"CARLA is made for x86_64; the nodes are {', '.join(sorted(nodes))}", "choose a partition of x86_64 nodes"
        )
    binary = _carla_root(stage) / CARLA_BINARY
    host = plan.on_host(binary)
    there = host.is_file() if host else bool(inside(plan, "ls", str(binary)).strip())
    if not there:
        raise Mistake(f"{binary}: no such file", "set simulator.carla_root to the folder that holds CarlaUE4.sh")
    if unasked:
        raise Doubt(
            f"{binary}; the profile asks Slurm for no GPU: right where a partition's nodes come whole",
            f"elsewhere set gres: gpu:1 in {plan.profile_file}",
        )
    return f"{binary}, with {profile.gpu_request or 'this machine'}"


def check_ports(plan: Plan) -> str:
    """The fixed ports do not overlap, and are free where the job has no network of its own."""
    stage, traffic = plan.stage, plan.stage.environment.traffic
    counts = {"port": stage.simulators, "evaluation_port": stage.evaluation.simulators}
    wanted: dict[str, range] = {}
    if stage.simulator.kind != "external":
        for key in ("port", "evaluation_port"):
            first, count = getattr(stage.simulator, key), counts[key]
            wanted |= {f"simulator.{key}": range(first, first + BLOCK * count)} if first else {}
    for key in ("port", "evaluation_port"):
        port = getattr(traffic, key)
        wanted |= {f"environment.traffic.{key}": range(port, port + counts[key])} if port else {}
    if not wanted:
        return "free ones are found when the job starts"
    _refuse_overlap(wanted)
    listed = ", ".join(f"{key} {ports.start}" for key, ports in wanted.items())
    if plan.profile.container and plan.profile.container.network == "loopback":
        return f"{listed}, in the job's own network"
    if plan.profile.queued:
        return f"{listed}; a second job on a node needs others, 0, or container.network: loopback"
    for key, ports in wanted.items():
        probes = map(first_taken, ports[::BLOCK]) if key.startswith("simulator") else map(_taken, ports)
        taken = next((port for port in probes if port is not None), None)
        if taken is not None:
            raise Mistake(f"{key}: port {taken} is in use on this machine", f"set {key} to 0 to have a free one found")
    return f"{listed}, free now"


def _refuse_overlap(wanted: dict[str, range]) -> None:
    owners: dict[int, str] = {}
    for key, ports in wanted.items():
        for port in ports:
            if port in owners:
                raise Mistake(f"{owners[port]} and {key} both take port {port}", f"set {key} to 0, or further away")
            owners[port] = key


def _taken(port: int) -> int | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return port
    return None


def _carla_root(stage: StageConfig) -> Path:
    root = stage.simulator.carla_root
    if root is None:
        raise BadInput("simulator.carla_root: missing; set it to the folder of the CARLA installation")
    return root
