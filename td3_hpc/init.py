"""`td3-hpc init`: a project, which is a folder of configurations to edit and the runs that come of them."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from td3_hpc import __version__
from td3_hpc.errors import BadInput
from td3_hpc.options import ClusterOverride
from td3_hpc.shipped import SITES, shipped, site_names

CLUSTERS = Path("configs/clusters")
#: Files that a project has as they are shipped.
COPIED = ("configs/stages/*.yaml", "configs/campaigns/*.yaml", "configs/clusters/local.yaml", "examples/*.py")
IGNORED = "checkpoints/\n.venv/\n__pycache__/\n*.sif\n*.sif.sha256\n"
README = """# {name}
A project of td3-hpc {version}: configurations to edit. Runs go to `checkpoints/`.

    td3-hpc train 1k                                      # configs/stages/1k.yaml; the same command continues it
    td3-hpc campaign submit validation --cluster CLUSTER  # 1K, 5K, 1M: each stage if the one before passed
    td3-hpc status --watch                                # what runs are doing
    td3-hpc export checkpoints/1k -O my-policy            # the policy as ONNX; examples/drive.py drives with it

CLUSTER is a profile in `configs/clusters`. `td3-hpc init .` adds what is missing here, and overwrites nothing.
"""
#: What is asked about a cluster that is not a known site: keys of a profile, and the questions.
QUESTIONS = {
    "partition": "partition (queue)",
    "account": "account or project",
    "gres": "generic resources of a job, such as gpu:1",
    "cpus": "processors of a job",
    "memory_gib": "memory of a job, GiB",
    "walltime_minutes": "longest job, minutes",
    "runs": "folder for runs, on a file system that the nodes share",
    "container.image": "container image's path there",
}


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The project's folder, new or not.", show_default=False)
    ],
    site: Annotated[str | None, typer.Option(help="A known site, whose profile is taken.", show_default=False)] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Name of a profile to make for another cluster.", show_default=False)
    ] = None,
    cluster_override: ClusterOverride = None,
) -> None:
    """Make a project: stages and campaigns to edit, a cluster's profile, examples, .gitignore and a README.

    What -c does not say of the profile is asked for on a terminal, and elsewhere left as it is, to be edited. Files
    that are there stay as they are, so that the same command adds what is missing.

    Example: td3-hpc init my-project --site lumi -c account=project_465000001
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder}: is a file; give a folder's name")
    if site is not None and cluster is not None:
        raise BadInput("--site takes the profile of a known site, --cluster makes one: give one of them")
    asks = sys.stdin.isatty()
    if asks and site is None and cluster is None and not _profiles(folder):
        site, cluster = _ask_where()
    files = _files(folder.absolute().name)
    if (name := site or cluster) is not None:
        path = CLUSTERS / f"{name}.yaml"
        if (folder / path).exists():
            if cluster_override:
                raise BadInput(f"{folder / path}: is there already, and -c would change it; edit it")
        else:
            files[path] = _profile(name, site is not None, cluster_override or [], asks)
    elif cluster_override:
        raise BadInput("-c changes a key of a profile: name it by --site or --cluster")
    written = _write(folder, files)
    kept = [path for path in files if path not in written]
    typer.echo(f"{folder}: {len(written)} files written" + (f", {len(kept)} were there and stay" if kept else ""))
    edited = [str(path) for path in kept if (folder / path).read_bytes() != files[path]]
    if edited:
        typer.echo(f"other than shipped: {', '.join(edited)}")
    typer.echo(f"next: cd {shlex.quote(str(folder))} && td3-hpc train 1k")


def _files(name: str) -> dict[Path, bytes]:
    """Every file of a project but profiles of clusters, by its path in it."""
    root = shipped("configs").parent
    found = {path.relative_to(root): path.read_bytes() for pattern in COPIED for path in sorted(root.glob(pattern))}
    readme = README.format(name=name, version=__version__)
    return {**found, Path(".gitignore"): IGNORED.encode(), Path("README.md"): readme.encode()}


def _profiles(folder: Path) -> list[Path]:
    return [path for path in (folder / CLUSTERS).glob("*.yaml") if path.stem != "local"]


def _ask_where() -> tuple[str | None, str | None]:
    """A known site, or the name of another cluster; neither where there is none to describe."""
    known = site_names()
    if not typer.confirm("Is there a Slurm cluster to describe now?", default=False):
        return None, None
    name = typer.prompt(f"Its name, as you like; {', '.join(known)} are known", default="mysite")
    return (name, None) if name in known else (None, name)


def _profile(name: str, is_site: bool, given: Sequence[str], asks: bool) -> bytes:
    """A profile's text, with what was given and answered. Raises BadInput listing every mistake."""
    from td3_hpc.config import apply_overrides, parse_yaml, validate
    from td3_hpc.config.cluster import ClusterConfig
    from td3_hpc.config.editing import with_keys

    if Path(name).name != name or name.startswith("."):
        raise BadInput(f"--{'site' if is_site else 'cluster'} {name}: give a name, not a path")
    template = (SITES if is_site else shipped(str(CLUSTERS))) / f"{name if is_site else 'example'}.yaml"
    if not template.exists():
        known = ", ".join(site_names())
        raise BadInput(f"--site {name}: not known; there are {known}, and --cluster {name} makes a profile")
    text = template.read_text(encoding="utf-8")
    values = parse_yaml(text, str(template))
    personal = values.get("personal", {})
    chosen = _pairs(given)
    if asks:
        questions = personal if is_site else QUESTIONS
        chosen = {**_answers({key: asked for key, asked in questions.items() if key not in chosen}, values), **chosen}
    for key, value in chosen.items():
        section, _, last = key.rpartition(".")
        text = with_keys(text, (), section, {last: value})
    result = parse_yaml(text, str(CLUSTERS / f"{name}.yaml"))
    for key in ("personal", "sources", "unverified"):
        result.pop(key, None)
    open_ones = {key: "/to/be/edited" for key in personal if key not in chosen}
    overrides = [f"{key}={value}" for key, value in open_ones.items()]
    validate(ClusterConfig, apply_overrides(result, overrides), str(CLUSTERS / f"{name}.yaml"))
    return text.encode()


def _answers(questions: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The answers to questions, by key; Enter keeps the value there is, or leaves the key to be edited."""
    from td3_hpc.config import apply_overrides
    from td3_hpc.config.changes import value_at

    answers = {}
    for key in questions:
        there = value_at(values, key)
        default = "" if there in (None, {}) else str(there)
        answer = typer.prompt(f"{key}: {questions[key]}", default=default, show_default=bool(default))
        if answer != default:
            answers[key] = value_at(apply_overrides({}, [f"{key}={answer}"]), key)
    return answers


def _pairs(given: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE options as keys and values. Raises BadInput for another text."""
    from td3_hpc.config import apply_overrides
    from td3_hpc.config.changes import value_at

    return {(key := item.partition("=")[0].strip()): value_at(apply_overrides({}, [item]), key) for item in given}


def _write(folder: Path, files: Mapping[Path, bytes]) -> list[Path]:
    """Write the files that are not there; returns them."""
    from td3_hpc.durable import replace_file

    written = []
    try:
        for path, content in files.items():
            if not (folder / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                replace_file(folder / path, content)
                written.append(path)
    except OSError as error:
        raise BadInput(
            f"{error.filename or folder}: cannot be written ({error.strerror}); give another folder"
        ) from None
    return written
