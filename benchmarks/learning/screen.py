"""Train a list of cases, each with its seeds, and keep a row for each: the verdict, and what the policy really does.

    python -m benchmarks.learning.screen benchmarks/learning/mends.yaml OUTPUT --jobs 2

The list names one or two stages and, by case, overrides and the replacements in a copy of the package that plant a
fault. A row is kept in OUTPUT/rows; what the policy does is measured apart from the gates, on held-out routes that no
evaluation cycle used. Stop the command whenever you like: given again, runs go on and finished rows stay, with the
package as it was when the command was first given.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import td3_hpc
from td3_hpc.config import read_yaml
from td3_hpc.training.evaluation.measures import paired_difference

PACKAGE = Path(td3_hpc.__file__).parent
VERDICTS = {0: "GO", 3: "NO-GO"}
"""By `td3-hpc train`'s exit status."""


@dataclass(frozen=True)
class Fault:
    """A replacement in the copied package, which must be there once."""

    file: str
    old: str
    new: str

    def plant(self, folder: Path, case: str) -> None:
        """Replace it in the package of a folder. Raises SystemExit where it is not there once; nothing is changed."""
        path = folder / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise SystemExit(f"{case}: {self.file} has {text.count(self.old)} times: {self.old}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Case:
    """One configuration, with one seed."""

    name: str
    seed: int
    overrides: dict[str, Any]
    faults: list[Fault]
    expected: str

    @property
    def key(self) -> str:
        """A name for files."""
        return f"{self.name.replace(' ', '-')}-{self.seed}"


@dataclass(frozen=True)
class Screening:
    """The list of cases, as its file has it."""

    stages: list[Path]
    truth: dict[str, int]
    """`first_route` and `episodes` of the drive that tells the truth."""
    cases: list[Case] = field(default_factory=list)


def read_screening(path: Path) -> Screening:
    """Read the YAML file: `stages`, `truth`, `seeds`, `overrides`, and `cases` by name."""
    values = read_yaml(path)
    cases = []
    for name, case in values["cases"].items():
        case = case or {}
        overrides = {**values.get("overrides", {}), **case.get("overrides", {})}
        faults = [Fault(**fault) for fault in case.get("faults", [])]
        for seed in case.get("seeds", values["seeds"]):
            cases.append(Case(name, seed, overrides, faults, case.get("expected", "")))
    stages = [(path.parent / stage).resolve() for stage in values["stages"]]
    return Screening(stages, values["truth"], cases)


class Runner:
    """Runs cases below a folder; its children end with it."""

    def __init__(self, screening: Screening, output: Path, rows: Path) -> None:
        self._screening, self._output, self._rows = screening, output, rows
        self._children: set[subprocess.Popen[bytes]] = set()
        self._stopping = threading.Event()
        self._frozen = self._freeze()
        self._constant_lock = threading.Lock()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The finished rows, in the list's order."""
        for case in self._screening.cases:
            path = self._row_path(case)
            if path.exists():
                yield json.loads(path.read_text(encoding="utf-8"))

    def run(self, case: Case) -> None:
        """Make a case's row, unless it is there or the command is being stopped."""
        if self._row_path(case).exists() or self._stopping.is_set():
            return
        code = self._code(case)
        verdicts: dict[str, Any] = {}
        run_dir = self._output
        for stage in self._screening.stages:
            run_dir = self._output / "runs" / case.key / stage.stem
            status = self._td3_hpc(case, code, ["train", str(code / "stages" / stage.name), *_options(case, run_dir)])
            if status not in VERDICTS:
                if not self._stopping.is_set():
                    print(f"{case.key}: {stage.stem} ended with {status}; see {run_dir}.log", flush=True)
                return
            verdict = json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))
            verdicts[stage.stem] = {
                "verdict": VERDICTS[status],
                "missed": [
                    g["name"] for g in verdict["gates"] if g["severity"] == "blocking" and g["status"] == "fail"
                ],
            }
        truth = run_dir.parent / "truth.json"
        if self._td3_hpc(case, code, ["evaluate", str(run_dir), *self._routes(truth)]):
            return
        constant = self._constant(case)
        if constant is None:
            return
        row = {"case": case.name, "seed": case.seed, "expected": case.expected, "verdicts": verdicts}
        row |= _what_it_does(_episodes(truth), constant)
        path = self._row_path(case)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(row, indent=1), encoding="utf-8")
        temporary.rename(path)
        print(f"{case.key}: {row}", flush=True)

    def stop(self) -> None:
        """Ask all children to save and end."""
        self._stopping.set()
        for child in list(self._children):
            child.send_signal(signal.SIGTERM)

    def _row_path(self, case: Case) -> Path:
        return self._rows / f"{case.key}.json"

    def _routes(self, output: Path) -> list[str]:
        truth = self._screening.truth
        routes = ["--first-route", str(truth["first_route"]), "--episodes", str(truth["episodes"])]
        return [*routes, "--json", str(output)]

    def _constant(self, case: Case) -> list[dict[str, Any]] | None:
        """The best constant driver's episodes on the same routes, driven once; None where the command is stopped."""
        output = self._output / "constant.json"
        with self._constant_lock:
            if not output.exists():
                stage = str(self._frozen / "stages" / self._screening.stages[-1].name)
                ports = [f"-oenvironment.traffic.{port}=0" for port in ("port", "evaluation_port")]
                drive = ["evaluate", stage, "--policy", "constant", *ports, *self._routes(output)]
                if self._td3_hpc(case, self._frozen, drive):
                    return None
        return _episodes(output)

    def _freeze(self) -> Path:
        """A folder with the package and the stages as they are when the command is first given."""
        folder = self._output / "code" / "frozen"
        if not folder.exists():
            fresh = folder.with_name("frozen.tmp")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(PACKAGE, fresh / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
            (fresh / "stages").mkdir()
            for stage in self._screening.stages:
                shutil.copy(stage, fresh / "stages")
            fresh.rename(folder)
        return folder

    def _code(self, case: Case) -> Path:
        """A folder with the frozen package and stages, the case's faults planted."""
        folder = self._output / "code" / case.key
        if folder.exists():
            return folder
        fresh = folder.with_name(f"{case.key}.tmp")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(self._frozen, fresh)
        for fault in case.faults:
            fault.plant(fresh, case.name)
        fresh.rename(folder)
        return folder

    def _td3_hpc(self, case: Case, code: Path, arguments: list[str]) -> int:
        log = self._output / "runs" / case.key / f"{Path(arguments[1]).stem}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(code)}
        with log.open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "td3_hpc", *arguments],
                cwd=code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._children.add(child)
            try:
                return child.wait()
            finally:
                self._children.discard(child)


def _options(case: Case, run_dir: Path) -> list[str]:
    options = ["--run-dir", str(run_dir), "-o", f"seed={case.seed}"]
    for key, value in case.overrides.items():
        options += ["-o", f"{key}={json.dumps(value)}"]
    return options


def _episodes(drive: Path) -> list[dict[str, Any]]:
    """The episodes of the one drive in what `td3-hpc evaluate --json` wrote."""
    (run,) = json.loads(drive.read_text(encoding="utf-8"))["runs"]
    episodes: list[dict[str, Any]] = run["episodes"]
    return episodes


def _what_it_does(episodes: list[dict[str, Any]], constant: list[dict[str, Any]]) -> dict[str, Any]:
    """A policy's figures, and whether it is above the best constant driver on the same routes, at 95 %."""
    own, other = (np.array([100 * e["route_completion"] for e in driven]) for driven in (episodes, constant))
    gain = paired_difference(own, other)
    return {
        "truth": "healthy" if gain.low > 0 else "doomed",
        "above_constant_points": [round(x, 1) for x in (gain.value, gain.low, gain.high)],
        "completion_percent": round(float(own.mean()), 1),
        "constant_percent": round(float(other.mean()), 1),
        "completed": sum(e["end_reason"] == "route_completed" for e in episodes),
        "speed_kmh": round(statistics.mean(e["mean_speed_kmh"] for e in episodes), 1),
        "completions": own.round(1).tolist(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    stages = list(rows[0]["verdicts"]) if rows else []
    heading = "completion, % | completed | km/h | above the constant driver, points | truth |"
    lines = ["| case | seed | " + "".join(f"{stage} | " for stage in stages) + heading]
    lines.append("|---|---:|" + "---|" * len(stages) + "---:|---:|---:|---:|---|")
    for row in rows:
        verdicts = (row["verdicts"][stage] for stage in stages)
        said = " | ".join(v["verdict"] + (f" ({', '.join(v['missed'])})" if v["missed"] else "") for v in verdicts)
        figures = f"{row['completion_percent']} | {row['completed']} of {len(row['completions'])} | {row['speed_kmh']}"
        gain, low, high = row["above_constant_points"]
        truth = f"{gain:+} ({low:+} to {high:+}) | {row['truth']}"
        lines.append(f"| {row['case']} | {row['seed']} | {said} | {figures} | {truth} |")
    return "\n".join(lines)


def main() -> None:
    """Entry point; prints the table of what is finished, at its end and where it is stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("screening", type=Path, help="the list of cases, a YAML file")
    parser.add_argument("output", type=Path, help="where runs and rows are kept")
    parser.add_argument("--rows", type=Path, help="where rows are kept, if not in OUTPUT/rows")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--table", action="store_true", help="only print what is finished")
    arguments = parser.parse_args()
    screening = read_screening(arguments.screening)
    output = arguments.output.resolve()
    runner = Runner(screening, output, (arguments.rows or output / "rows").resolve())
    if not arguments.table:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: runner.stop())
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for done in [pool.submit(runner.run, case) for case in screening.cases]:
                done.result()
    print(table(list(runner.rows())))


if __name__ == "__main__":
    main()
