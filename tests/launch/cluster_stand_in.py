"""A stand-in for a whole cluster, for tests in which one call of one of its commands goes wrong: the commands keep a
queue in a file, and `work` starts the queued scripts, one after another, as Slurm would.

Slurm's own behaviour is tested on the real one, in tests/slurm.
"""

import os
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

Kind = Literal["fail", "hang", "nonsense", "unheard"]
"""`nonsense`: it answers something else and does nothing; `unheard`: the same, and it has done its part."""
COMMANDS = ("sbatch", "squeue", "scontrol", "sacct", "srun", "apptainer")

#: In a command's script: the call of a number goes wrong, as the file `fault` says. Has `site`, `name` and `number`.
GOES_WRONG = r"""case "$(<"$site/fault")" in
  "$number fail") echo "$name: error: no such luck" >&2; [ $name = apptainer ] && exit 255; exit 1 ;;
  "$number hang") exec /bin/sleep 1000 ;;
  "$number nonsense") echo "Welcome to the machine"; exit 0 ;;
  "$number unheard") echo "Welcome to the machine"; exec >/dev/null ;;
esac"""

#: Every command: notes its call, goes wrong if that is the one, and does its part.
PROGRAM = r"""#!/bin/bash
site=%(site)s name=${0##*/} queue=%(site)s/queue
if [[ %(faulty)s == *" $name "* ]]; then
  echo "$name $*" >>"$site/calls"
  number=$(wc -l <"$site/calls")
  %(goes_wrong)s
fi
case $name in
  sbatch) # a line of the queue: id, task, state, restarts, script, ids that come first
    task=N/A after=-
    for word in "$@"; do
      case $word in
        --array=*) task=${word#*=} ;;
        --dependency=afterany:*) after=${word#*afterany:} ;;
      esac
    done
    grep -q '#SBATCH --dependency=singleton' "$word" && after=singleton
    if [ "$(wc -l <"$queue")" -ge "$(<"$site/most")" ]; then
      echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1
    fi
    echo x >>"$site/ids"
    id=$((1000 + $(wc -l <"$site/ids")))
    echo "$id $task PENDING 0 $word $after" >>"$queue"
    echo "$id"
    ;;
  squeue)
    while read -r id task state restarts script after; do
      case "$*" in
        *'%%F|%%K|%%A'*) echo "$id|$task|$id|$state|None|n1|0:00|$script" ;;
        *'%%i %%T'*) [ $task = N/A ] || id+=_$task; [[ ",$5," == *",$id,"* ]] && echo "$id $state" ;;
        *'%%F %%K %%o'*) echo "$id $task $script $id" ;;
        *) echo "$id" ;;
      esac
    done <"$queue"
    exit 0 # as it does for jobs that it remembers
    ;;
  scontrol)
    case "$1 $2" in
      "show job") sed -n "s/^${4%%%%_*} [^ ]* \([A-Z]*\) .*/JobId=1 JobState=\1 Reason=None/p" "$queue" ;;
      requeue*) sed -i "s/^\(${2%%%%_*} [^ ]*\) [A-Z]* /\1 PENDING /" "$queue" ;;
    esac
    ;;
  scancel) for id in "$@"; do [[ $id = -* ]] || sed -i "/^${id%%%%_*} [^ ]* PENDING/d" "$queue"; done ;;
  sinfo) printf 'n%%s\n' 1 2 3 4 5 6 7 8 9 ;;
  srun) while [ "$1" != bash ]; do shift; done; exec "$@" ;;
  apptainer)
    for variable in ${!APPTAINERENV_*}; do export "${variable#APPTAINERENV_}=${!variable}"; done
    while [ "$1" != %(image)s ]; do
      if [ "$1" = --pwd ]; then cd "$2"; fi # away from a checkout, whose package Python would take
      shift
    done
    exec "${@:2}"
    ;;
esac
"""


@dataclass
class Queued:
    """A line of the queue."""

    id: str
    task: str
    state: str
    restarts: int
    script: str
    after: str


class FaultyCommands:
    """Commands in a folder that note their calls, one of which goes wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        for name, text in (("calls", ""), ("fault", "none")):
            (folder / name).write_text(text)

    def add(self, name: str, text: str) -> Path:
        """A program in PATH."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def go_wrong(self, number: int, kind: Kind) -> None:
        """Let the call of a number, from 1, go wrong."""
        (self.folder / "fault").write_text(f"{number} {kind}")

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


class Cluster(FaultyCommands):
    """Its commands, first in PATH, and its queue."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, limit_s: float = 10, most: int = 99) -> None:
        super().__init__(folder)
        self.limit_s = limit_s
        self.image = folder / "image.sif"
        self.said = ""
        """What the jobs wrote."""
        self.most_of_a_run = 2
        """Jobs at once: one, and one that waits behind it."""
        self.image.touch()
        words = {"site": folder, "image": self.image, "faulty": f'" {" ".join(COMMANDS)} "'}
        words |= {"goes_wrong": GOES_WRONG}
        for name in (*COMMANDS, "scancel", "sinfo"):
            self.add(name, PROGRAM % words)
        self.add("sleep", "#!/bin/bash\n")  # between two questions
        for name, text in (("queue", ""), ("ids", ""), ("most", str(most))):
            (folder / name).write_text(text)
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")

    def queue(self) -> list[Queued]:
        lines = (self.folder / "queue").read_text().splitlines()
        fields = [line.split() for line in lines]
        return [Queued(job, task, state, int(n), script, after) for job, task, state, n, script, after in fields]

    def _write(self, queue: list[Queued]) -> None:
        lines = [" ".join(map(str, vars(job).values())) for job in queue]
        (self.folder / "queue").write_text("".join(f"{line}\n" for line in lines))

    def lose(self, job: str) -> None:
        """Take a job out of the queue."""
        self._write([other for other in self.queue() if other.id != job])

    def work(self, most_starts: int = 30) -> None:
        """Start jobs until none is left; fails the test where that takes too many starts."""
        for _ in range(most_starts):
            queue = self.queue()
            ids = {job.id for job in queue}
            if not queue:
                return
            of_each = Counter((job.script, job.task) for job in queue)
            assert max(of_each.values()) <= self.most_of_a_run, f"a run has too many jobs: {of_each}\n{self.said}"
            ready = [job for job in queue if not {word.split("_")[0] for word in job.after.split(":")} & ids]
            self._start(ready[0])
        pytest.fail(f"no end after {most_starts} starts:\n{self.said}")

    def _start(self, job: Queued) -> None:
        self._write([Queued(**{**vars(o), "state": "RUNNING"}) if o.id == job.id else o for o in self.queue()])
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"SLURM_JOB_ID": job.id, "SLURM_JOB_PARTITION": "low", "SLURM_JOB_NAME": "td3"}
        environment |= {"SLURMD_NODENAME": f"n{job.restarts + 1}", "SLURM_JOB_NODELIST": f"n{job.restarts + 1}"}
        if job.task != "N/A":
            environment |= {"SLURM_ARRAY_JOB_ID": job.id, "SLURM_ARRAY_TASK_ID": job.task}
        if job.restarts:
            environment["SLURM_RESTART_COUNT"] = str(job.restarts)
        text = Path(job.script).read_text().replace("patience_s=60", "patience_s=2")
        text = text.replace("timeout 600", f"timeout {self.limit_s - 3}")
        process = subprocess.Popen(
            ["bash", "-c", text, job.script],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said += self._until_its_time_limit(process, job)
        left = self.queue()
        again = [other for other in left if other.id == job.id and other.state == "PENDING"]
        for other in again:
            other.restarts += 1
        self._write([other for other in left if other.id != job.id or other in again])

    def _until_its_time_limit(self, process: "subprocess.Popen[str]", job: Queued) -> str:
        """What a job's script says, which is ended as Slurm does it at the time limit."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                return process.communicate(timeout=self.limit_s)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, number)
        return process.communicate()[0]
