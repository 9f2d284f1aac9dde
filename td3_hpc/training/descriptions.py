"""What the entries of a checkpoint are, and their units: written beside them, so that a stranger can read the files.

Paths, or patterns of paths, to (meaning, unit); the first that fits counts. `1` is the unit of plain numbers.
"""

from td3_hpc.spaces import ACTION, OBSERVATION, Entry

_SEEN = [entry.name for entry in OBSERVATION]
_EPISODE = "rollouts/*/episode"
_NETWORKS = {
    "actor": f"policy: {' and '.join(_SEEN)} to action",
    "critic": f"twin critics: {', '.join(_SEEN)} and action to two Q values, one CNN for both",
    "actor_target": "slow copy of the policy, for targets",
    "critic_target": "slow copy of the twin critics, for targets",
}
_OPTIMIZERS = {
    f"agent/{network}_optimizer{path}": (meaning.format(network), unit)
    for network in ("actor", "critic")
    for path, meaning, unit in (
        ("/*/step", "steps that Adam has taken on the {}'s parameter", "updates"),
        ("/*/exp_avg", "Adam's running mean of the gradient", "1"),
        ("/*/exp_avg_sq", "Adam's running mean of the squared gradient", "1"),
        ("/*", "Adam's state for the {}'s parameter of this name", ""),
        ("", "Adam of the {}, by parameter", ""),
    )
}
_GENERATORS = {
    f"{path}{entry}": (f"{meaning}{of_it}", unit)
    for path, meaning in (
        ("agent/exploration_generator", "numpy generator (PCG64) of exploration noise and random actions"),
        ("replay/generator", "numpy generator (PCG64) of replay sampling"),
    )
    for entry, of_it, unit in (
        ("/state", ": its 128-bit state, in decimal", ""),
        ("/increment", ": its 128-bit increment, in decimal", ""),
        ("/has_uint32", ": whether it keeps half of a drawn 64-bit number", "1"),
        ("/uinteger", ": that half", "1"),
        ("", "", ""),
    )
}


def _stored(entry: Entry) -> tuple[str, str]:
    meaning = f"newest {entry.meaning} of the observation" if entry.stacked else entry.meaning
    return f"{entry.row_shape} {meaning}", entry.unit


_ROW_FIELDS = {
    **{entry.row_field: _stored(entry) for entry in (*OBSERVATION, ACTION)},
    "reward": ("reward of the decision", "1"),
    "flags": ("what the row is and how its episode ended: td3_hpc/replay/rows.py", "bits"),
    "previous": ("back to the row before in the episode; 0 on its first", "rows"),
    "next": ("on to the row after in the episode; 0 on a row without a decision", "rows"),
}
_ALERT = {
    "active": ("whether the alert is on", "1"),
    "calm_intervals": ("intervals within the limit since it was last crossed", "intervals"),
    "seen": ("whether the interval in progress has told the number", "1"),
    "disturbed": ("whether the interval in progress has crossed the limit", "1"),
    "value": ("the number when it was last told", "1"),
}

DESCRIPTIONS: dict[str, tuple[str, str]] = {
    "counters": ("where the run stands", ""),
    "counters/step": ("completed decisions of the run", "decisions"),
    "counters/updates": ("TD3 updates (critic updates)", "updates"),
    "counters/actor_updates": ("actor updates", "updates"),
    "counters/episode": ("episodes that have ended", "episodes"),
    "counters/evaluated_at": ("step at which the newest evaluation cycle was completed", "decisions"),
    "counters/evaluations": ("completed evaluation cycles", "cycles"),
    "rollouts": ("one entry per training environment: its episode in progress and its decision in flight", ""),
    f"{_EPISODE}/index": ("number of the episode within the run, from 0", "1"),
    f"{_EPISODE}/seed": ("seed of the episode", "1"),
    f"{_EPISODE}/actions": (f"(n, {ACTION.size}) {ACTION.meaning}", ACTION.unit),
    f"{_EPISODE}/checksums": ("(n + 1,) xxh3_64 of each observation and reward", "1"),
    f"{_EPISODE}/first_step": ("step of the run that the episode's first decision is", "decisions"),
    _EPISODE: ("the episode in progress: resetting with its seed and replaying its actions rebuilds it", ""),
    "rollouts/*/action_in_flight": ("decision drawn, and updated for, whose outcome is not in yet", "[-1, 1]"),
    "rollouts/*/held_action": ("random action drawn last in the episode in progress", "[-1, 1]"),
    "rollouts/*/held_for": ("decisions for which it is held from now on", "decisions"),
    "rollouts/*/standing": ("decisions for which the ego has stood, but those in which it waits", "decisions"),
    "rollouts/*": ("a training environment", ""),
    "agent": ("networks, targets, optimizers and generators", ""),
    "agent/updates": ("critic updates", "updates"),
    "agent/actor_updates": ("policy (and target) updates", "updates"),
    "agent/smoothing_generator": ("torch generator of target policy smoothing: its state", "bytes"),
    **_OPTIMIZERS,
    **_GENERATORS,
    **{f"agent/{name}/*": (f"a parameter of the {name}", "1") for name in _NETWORKS},
    **{f"agent/{name}": (meaning, "") for name, meaning in _NETWORKS.items()},
    "replay": ("the replay buffer's generator and open rows; its sealed rows are in the segments", ""),
    "replay/first_row": ("oldest row that the buffer held", "rows"),
    "replay/sealed_row": ("rows below it are in the segments", "rows"),
    "replay/lanes": ("(n, 2) a training environment with an episode in progress, and its pending row", "1"),
    **{f"replay/pending/{name}": meaning for name, meaning in _ROW_FIELDS.items()},
    "replay/pending": ("the rows from the oldest one on that waits for its decision", ""),
    "telemetry": ("the monitors' windows", ""),
    "telemetry/interval_first_step": ("first step of the interval in progress", "decisions"),
    "telemetry/interval/*/names": ("what was counted or measured, a line each", ""),
    "telemetry/interval/*/values": ("its value so far", "1"),
    "telemetry/interval*": ("sums, counts, highest and lowest of the interval in progress", ""),
    "telemetry/growth/open/*/bin": ("number of the bin in progress", "1"),
    "telemetry/growth/open/*/logarithms": ("natural logarithms of the gradient norms in it", "1"),
    "telemetry/growth/points/*": ("(n, 2) the bins before: update, mean logarithm of the gradient norm", "1"),
    "telemetry/growth*": ("growth of the gradient norms, by network group", ""),
    **{f"telemetry/alerts/*/{name}": meaning for name, meaning in _ALERT.items()},
    "telemetry/alerts*": ("which limits are crossed", ""),
    "policy_motion": ("what the policy did at the newest evaluation cycle", ""),
    "policy_motion/rows": ("(n,) rows of the replay buffer whose observations it was shown", "rows"),
    "policy_motion/actions": (f"(n, {ACTION.size}) {ACTION.meaning}, without noise", ACTION.unit),
    "config": ("the resolved configuration", "YAML"),
    "provenance": ("where this was written, and on what exactness rests; not compared by diff", ""),
    "provenance/threads": ("CPU threads of PyTorch and OpenCV", "threads"),
    "provenance/kernels": ("how the CNN is computed: td3_hpc/td3/kernels.py", ""),
    "provenance/bfloat16": ("whether the hardware computes in bfloat16, or PyTorch imitates it", ""),
    "provenance/pretrained": ("xxh3_128 of the file that the CNNs began with; empty: of none", ""),
    "provenance/record_bytes": ("of the record up to this checkpoint", "bytes"),
    "provenance/tensorboard_bytes": ("of each event file up to this checkpoint", ""),
    "provenance/tensorboard_bytes/*": ("of the event file up to this checkpoint", "bytes"),
    "provenance/not_exact_from*": ("since when the run is not exact, and why", ""),
    "provenance/behaviour": ("behaviour number of the program: td3_hpc/behaviour.py", "1"),
    "provenance/processor": ("machine, instruction set that PyTorch uses, processor model", ""),
    "provenance/accelerator": ("GPU model", ""),
    "provenance/libraries": ("builds that the last bits depend on", ""),
    "provenance/host": ("host name", ""),
    "provenance/job": ("Slurm's job number", ""),
    "provenance/code_sha256": ("digest of this package's code", ""),
    "provenance/*": ("version", ""),
    **{f"rows/{name}": meaning for name, meaning in _ROW_FIELDS.items()},
}
