"""A real Slurm cluster on one machine, to try jobs out: `python3 slurm/testcluster up` (docs/test-cluster.md)."""

import argparse
import os
import sys

import apptainer
from cluster import Cluster
from failure import ClusterError
from settings import from_environment


def main() -> int:
    """Run one command; returns its exit status: 0, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="testcluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="install what is missing and start what is not running")
    commands.add_parser("down", help="end every job and daemon, remove the directory")
    commands.add_parser("status", help="daemons, nodes and jobs")
    commands.add_parser("env", help='print what `eval "$(...)"` makes the shell use this cluster with')
    commands.add_parser("apptainer", help="install Apptainer where it is missing (also done by up)")
    for name, text in (("kill-node", "lose a node"), ("start-node", "let it come back")):
        commands.add_parser(name, help=text).add_argument("number", type=int, help="2 for the second")
    arguments = parser.parse_args()
    try:
        run(arguments)
    except ClusterError as error:
        print(f"testcluster: {error}", file=sys.stderr)
        return 1
    return 0


def run(arguments: argparse.Namespace) -> None:
    """Do what the command says; raises ClusterError."""
    settings = from_environment(os.environ)
    cluster = Cluster(settings)
    export = f"export SLURM_CONF={settings.slurm_conf}"
    if settings.own_path:
        export += f" PATH={':'.join(settings.own_path)}:$PATH"
    match arguments.command:
        case "up":
            apptainer.ensure()
            cluster.up()
            print(f"{settings.nodes} nodes are up. For Slurm's own commands: {export}")
        case "down":
            cluster.down()
        case "status":
            print(cluster.status())
        case "env":
            print(export)
        case "apptainer":
            apptainer.ensure()
        case "kill-node":
            cluster.kill_node(arguments.number)
        case "start-node":
            cluster.start_node(arguments.number)


if __name__ == "__main__":
    sys.exit(main())
