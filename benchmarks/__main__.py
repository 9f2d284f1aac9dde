"""Run benchmarks by name, or all of them.

python -m benchmarks              # every benchmark, one after the other
python -m benchmarks --list       # names, and what each one measures
python -m benchmarks td3_update   # one of them

Every module here that has a `main` is a benchmark; each runs in a process of its own.
"""

import argparse
import ast
import subprocess
import sys
from pathlib import Path


def available() -> dict[str, str]:
    """The benchmarks: name to the first line of the docstring. Nothing is imported for this."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
            found[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return found


def main() -> None:
    """Entry point; exit code 1 where a benchmark failed to run."""
    benchmarks = available()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(benchmarks)}; all where none is given")
    parser.add_argument("--list", action="store_true", help="say what there is")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in benchmarks]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(benchmarks)}")
    failed = []
    for name in arguments.names or benchmarks:
        print(f"{name}: {benchmarks[name]}", flush=True)
        if not arguments.list:
            command = [sys.executable, "-c", f"from benchmarks.{name} import main; main()"]
            if subprocess.run(command, check=False).returncode:
                failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
