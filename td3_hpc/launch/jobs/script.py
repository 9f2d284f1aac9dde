"""The job's script: bash that is complete and readable on its own."""

import hashlib
import re
import shlex
import sys
from pathlib import Path

import jinja2

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.config.secret import is_reference, source
from td3_hpc.launch.jobs.freeze import FrozenImage
from td3_hpc.launch.jobs.lock import PATIENCE_S
from td3_hpc.launch.policy.end import Again, plan_end, plan_unplanned
from td3_hpc.launch.policy.verbs import FRUITLESS

#: What Python's -m takes to train a stage.
TRAINING = "td3_hpc train"


def job_name(stage: str, run_dir: Path, profile: ClusterConfig) -> str:
    """The job's name in Slurm: the stage and its run directory's name.

    The jobs of a chain run one after another because they share their name, which no other run's jobs may have.
    """
    name = f"td3-{stage}" if stage == run_dir.name else f"td3-{stage}-{run_dir.name}"
    return f"{name}-{hashlib.sha256(str(run_dir).encode()).hexdigest()[:6]}" if profile.requeue == "chain" else name


def render(
    stage: str,
    profile: ClusterConfig,
    run_dir: Path,
    image: FrozenImage | None,
    program: str = TRAINING,
    campaign: str | None = None,
) -> str:
    """The script that runs a stage frozen in `run_dir`/submission; `image` is None for a job without a container.

    `program` is what Python's -m takes; it is started with the stage's file and --run-dir. For a stage of a campaign,
    by its name, `run_dir` is the campaign's directory; the run is <stage>/seed-<number of the task in its job array>.
    """
    loader = jinja2.PackageLoader("td3_hpc.launch.jobs", "templates")
    templates = jinja2.Environment(
        loader=loader,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters["q"] = lambda value: shlex.quote(str(value))
    templates.filters["sbatch"] = quote_for_sbatch
    templates.filters["on_node"] = expanded_on_node
    container = profile.container
    again: Again = "by hand" if not profile.queued else "chain" if profile.requeue == "chain" else "requeue"
    plan = plan_end(again).lines() + (plan_unplanned(again, container is not None).lines() if campaign else [])
    return templates.get_template("stage.sbatch.j2").render(
        stage=stage,
        job_name=f"td3-{campaign}-{stage}" if campaign else job_name(stage, run_dir, profile),
        campaign=campaign,
        profile=profile,
        container=container,
        slurm=profile.queued,
        sbatch_options=[item for item in sbatch_options(profile) if not campaign or item[0] != "dependency"],
        step_options=step_options(profile),
        run=run_dir,
        image=image,
        environment=environment(profile, run_dir),
        secrets=secrets(profile),
        python=container.python if container else sys.executable,
        program=program,
        plan=plan,
        fruitless=FRUITLESS,
        lock_patience_s=int(PATIENCE_S),
        judged=program == TRAINING,
    )


def sbatch_options(profile: ClusterConfig) -> list[tuple[str, str | None]]:
    """What the profile asks of Slurm, as long options of sbatch; None: an option without a value."""
    wanted: dict[str, str | int | None] = {
        "clusters": profile.clusters,
        "partition": profile.partition,
        "account": profile.account,
        "qos": profile.qos,
        "reservation": profile.reservation,
        "gres": profile.gres,
        "gpus": profile.gpus,
        "gpus-per-node": profile.gpus_per_node,
        "gpu-bind": profile.gpu_bind,
        "constraint": profile.constraint,
        "exclude": ",".join(profile.exclude),
        "cpus-per-gpu": profile.cpus_per_gpu,
        "cpus-per-task": None if profile.cpus_per_gpu else profile.cpus,
        "hint": profile.hint,
        "mem": _mib(profile.memory_gib),
        "mem-per-cpu": _mib(profile.mem_per_cpu),
        "mem-per-gpu": _mib(profile.mem_per_gpu),
        "time": profile.walltime_minutes,
        "licenses": profile.licenses,
        "mail-type": profile.mail_type,
        "mail-user": profile.mail_user,
        "nice": profile.nice,
        "comment": profile.comment,
        "dependency": "singleton" if profile.requeue == "chain" else None,
    }
    options: dict[str, str | None] = {name: str(value) for name, value in wanted.items() if value not in (None, "")}
    if profile.exclusive:
        options["exclusive"] = None if profile.exclusive is True else profile.exclusive
    options |= {name: None if value is None else str(value) for name, value in profile.sbatch.items()}
    return list(options.items())


def _mib(gib: float | None) -> str | None:
    return None if gib is None else f"{round(gib * 1024)}M"


def quote_for_sbatch(value: object) -> str:
    """A value as it stands in an #SBATCH line, where Slurm takes spaces, quotes, backslashes and # apart."""
    text = str(value)
    if re.fullmatch(r"[^\s\"'\\#]+", text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def expanded_on_node(path: object) -> str:
    """A path in bash, with ~ and variables as they are on the node; one that is not set makes no absolute path."""
    text = re.sub(r"^~(?=/|$)", "$HOME", str(path))
    words = re.split(r"\$(?:\{(\w+)\}|(\w+))", text)  # text, and a name in one of two groups, in turn
    quoted = [shlex.quote(words[0]) if words[0] else ""]
    for braced, bare, rest in zip(words[1::3], words[2::3], words[3::3]):
        quoted += [f'"${{{braced or bare}:-not-set}}"', shlex.quote(rest) if rest else ""]
    return "".join(quoted)


def step_options(profile: ClusterConfig) -> str:
    """What the job's step is told as the job was: srun takes nothing from the job's environment."""
    wanted = {"gpu-bind": profile.gpu_bind, "hint": profile.hint}
    return "".join(f" --{name}={shlex.quote(value)}" for name, value in wanted.items() if value)


def environment(profile: ClusterConfig, run_dir: Path) -> list[tuple[str, str]]:
    """The variables that the stage's process is started with, but for secrets."""
    variables = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if profile.container is None or profile.container.code == "checkout":
        variables["PYTHONPATH"] = str(run_dir / "submission" / "code")
    if profile.container:
        variables["XDG_CACHE_HOME"] = str(run_dir / "cache")  # its home is gone with the job
        variables |= {name: text for name, text in profile.container.environment.items() if not is_reference(text)}
    return list(variables.items())


def secrets(profile: ClusterConfig) -> list[tuple[str, str, str]]:
    """Variables that the job itself reads when it starts: name, `env` or `file`, and which, as bash takes it."""
    found: list[tuple[str, str, str]] = []
    for name, text in (profile.container.environment if profile.container else {}).items():
        if is_reference(text):
            kind, what = source(text)
            home, path = ('"$HOME"/', what[2:]) if what.startswith("~/") else ("", what)
            found.append((name, kind, home + shlex.quote(path)))
    return found
