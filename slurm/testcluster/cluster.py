"""A real Slurm on one machine: its daemons brought up, looked at, and ended."""

import os
import shutil
import subprocess
from pathlib import Path

import cgroup_v2
import newer_slurm
import packages
from failure import ClusterError
from processes import Daemon, end, job_processes, listening, succeeds
from settings import FREEZER, NEWER, Settings
from slurm_files import write_files

MARIADB_TABLES = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")


class Cluster:
    """munged, slurmctld and one slurmd a node; with accounting also mariadbd and slurmdbd."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.environment = {
            "PATH": os.pathsep.join([*settings.own_path, packages.SEARCH_PATH]),
            "LANG": "C.UTF-8",
            "HOME": os.environ.get("HOME", "/"),
            "SLURM_CONF": str(settings.slurm_conf),
        }
        self.munge = self._daemon("munged")
        self.database = self._daemon("mariadbd")
        self.accounting = self._daemon("slurmdbd")
        self.controller = self._daemon("slurmctld")
        self.nodes = {number: self._daemon(f"slurmd-{settings.node_name(number)}") for number in settings.node_numbers}

    def _daemon(self, name: str) -> Daemon:
        return Daemon(self.settings.directory, name)

    @property
    def daemons(self) -> list[Daemon]:
        """All of them, in the order in which they end."""
        return [*self.nodes.values(), self.controller, self.accounting, self.database, self.munge]

    def up(self) -> None:
        """Bring up whatever is not running; returns when every node takes jobs. Raises ClusterError."""
        self._check_directory()
        self._ensure_programs()
        self._check_ports()
        write_files(self.settings)
        self._start_munge()
        if self.settings.accounting:
            self._start_accounting()
        self._start_controller()
        for number in self.nodes:
            self.start_node(number)
        self.controller.wait_until(self._all_nodes_ready, 60)

    def down(self) -> None:
        """End every job and daemon and remove the directory."""
        directory = self.settings.directory
        if not directory.exists():
            return
        self._check_directory()
        if self.controller.pid is not None:
            self._end_jobs()
        for daemon in self.daemons:
            daemon.stop(timeout_s=15)
        end(job_processes(self.settings.slurm_conf), timeout_s=2)
        for number in self.nodes:
            self._remove_cgroups(number)
        shutil.rmtree(directory)

    def status(self) -> str:
        """Every daemon's process id, and what Slurm says of its nodes and jobs."""
        lines = [f"{daemon.name}: {f'pid {daemon.pid}' if daemon.pid else 'not running'}" for daemon in self.daemons]
        if self.controller.pid is not None:
            lines += [self._output("sinfo", "-lN"), self._output("squeue", "-l")]
        return "\n".join(lines)

    def start_node(self, number: int) -> None:
        """Start the slurmd of a node; raises ClusterError where there is no such node."""
        command = ["slurmd", "-D", "-N", self.settings.node_name(number)]
        if self.settings.slurm == NEWER:
            command += ["-d", str(newer_slurm.programs() / "slurmstepd")]
            if self.settings.process_tracking == "cgroup":
                command = cgroup_v2.slurmd_command(self.settings.directory / "run", command)
        self._node(number).start(command, self.environment)

    def kill_node(self, number: int) -> None:
        """SIGKILL the slurmd of a node: Slurm sees the node as lost, while its jobs' processes live on."""
        self._node(number).kill()

    def _node(self, number: int) -> Daemon:
        if number not in self.nodes:
            raise ClusterError(f"no node {number}; there are 1 to {self.settings.nodes}")
        return self.nodes[number]

    def _ensure_programs(self) -> None:
        if self.settings.slurm == NEWER:
            newer_slurm.ensure()
        else:
            packages.ensure_programs(packages.SLURM_PROGRAMS)
        if self.settings.accounting:
            database = {"mariadbd"} if self.settings.slurm == NEWER else packages.ACCOUNTING_PROGRAMS.keys()
            packages.ensure_programs({name: packages.ACCOUNTING_PROGRAMS[name] for name in database})

    def _check_directory(self) -> None:
        directory = self.settings.directory
        if not directory.exists():
            return
        if directory.stat().st_uid != os.getuid():
            raise ClusterError(f"{directory} belongs to another user; set TD3_HPC_CLUSTER_DIR and TD3_HPC_CLUSTER_PORT")
        if any(directory.iterdir()) and not self.settings.slurm_conf.parent.exists():
            raise ClusterError(f"{directory} holds something else; set TD3_HPC_CLUSTER_DIR to a directory of its own")

    def _check_ports(self) -> None:
        if any(daemon.pid for daemon in self.daemons):
            return
        taken = [port for port in self.settings.ports if listening(port)]
        if taken:
            raise ClusterError(f"port {taken[0]} is taken; set TD3_HPC_CLUSTER_PORT to the first of 20 free ones")

    def _start_munge(self) -> None:
        base, socket = self.settings.directory, self.settings.munge_socket
        command = ["munged", "--foreground", f"--socket={socket}", f"--key-file={base}/etc/munge.key"]
        command += [f"--log-file={base}/log/munged.log", f"--pid-file={base}/munge/munged.pid"]
        command += [f"--seed-file={base}/munge/munged.seed", "--force"]  # --force: in a private directory, too
        self.munge.start(command, self.environment)
        self.munge.wait_until(lambda: succeeds(["munge", "-n", "-S", str(socket)], self.environment), 10)

    def _start_accounting(self) -> None:
        base, port = self.settings.directory, self.settings.database_port
        self._create_database(base / "mysql")
        command = self._mariadbd(base / "mysql")
        command += [f"--socket={base}/run/mysql.sock", "--bind-address=127.0.0.1", f"--port={port}"]
        command += [f"--pid-file={base}/run/mariadbd.own.pid", f"--init-file={base}/etc/database.sql"]
        command += ["--innodb-lock-wait-timeout=900"]
        command += ["--innodb-flush-log-at-trx-commit=0", "--performance-schema=OFF"]
        self.database.start(command, self.environment)
        self.database.wait_until(lambda: listening(port), 60)
        self.accounting.start(["slurmdbd", "-D"], self.environment)
        self.accounting.wait_until(lambda: listening(self.settings.accounting_port), 60)
        # Says "already there" by a non-zero exit status on every later call.
        succeeds(["sacctmgr", "-i", "-Q", "add", "cluster", "td3hpctest"], self.environment)

    def _mariadbd(self, data: Path) -> list[str]:
        """The small database server. Its temporary files are its own: in /tmp, a server that starts removes others'."""
        command = ["mariadbd", "--no-defaults", f"--user={self.settings.user}", f"--datadir={data}"]
        command += [f"--tmpdir={self.settings.directory}/run", "--skip-log-bin"]
        return [*command, "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--innodb-use-native-aio=0"]

    def _create_database(self, data: Path) -> None:
        """What mariadb-install-db does, without the client packages that it needs. One SQL statement a line."""
        done = data / ".created"
        if done.exists():
            return
        shutil.rmtree(data)
        data.mkdir(mode=0o700)
        script = "CREATE DATABASE mysql;\nUSE mysql;\nSET @skip_auth_anonymous=1, @auth_root_socket=NULL;\n"
        script += "".join(Path("/usr/share/mysql", name).read_text(encoding="utf-8") for name in MARIADB_TABLES)
        result = subprocess.run(
            [*self._mariadbd(data), "--bootstrap"], input=script, env=self.environment, capture_output=True, text=True
        )
        if result.returncode != 0:
            raise ClusterError(f"the accounting database was not made: {result.stderr.strip().splitlines()[-1:]}")
        done.touch()

    def _start_controller(self) -> None:
        running = self.controller.pid is not None
        self.controller.start(["slurmctld", "-D"], self.environment)
        self.controller.wait_until(lambda: "is UP" in self._output("scontrol", "ping"), 30)
        if running:  # its configuration may just have been written anew
            succeeds(["scontrol", "reconfigure"], self.environment)

    def _all_nodes_ready(self) -> bool:
        states = self._output("sinfo", "-hN", "-p", "low", "-t", "idle,mix,alloc", "-o", "%N")
        return len(states.split()) == self.settings.nodes

    def _end_jobs(self) -> None:
        """Cancel every job. A running one gets SIGKILL first: otherwise it might take all of KillWait."""
        for options in (["--state=PENDING"], ["--full", "--signal=KILL", "--state=RUNNING"], ["--state=RUNNING"]):
            succeeds(["scancel", *options], self.environment)
        try:
            self.controller.wait_until(lambda: not self._output("squeue", "-h", "-t", "R,CG,S", "-o", "%A"), 10)
        except ClusterError:
            pass  # their processes are ended below, when no slurmd can start another

    def _remove_cgroups(self, number: int) -> None:
        if self.settings.slurm == NEWER and os.getuid() == 0:
            cgroup_v2.remove(self.settings.node_name(number))
        top = FREEZER / f"slurm_{self.settings.node_name(number)}"
        for directory in sorted(top.rglob("*/"), reverse=True) if top.exists() else []:
            directory.rmdir()
        if top.exists():
            top.rmdir()

    def _output(self, *command: str) -> str:
        result = subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return result.stdout.decode(errors="replace").strip()
