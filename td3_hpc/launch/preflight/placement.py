"""Do the training simulators fit the job's nodes?"""

from td3_hpc.launch.preflight.finding import Mistake
from td3_hpc.launch.preflight.plan import Plan


def check_placement(plan: Plan) -> str:
    """Where the job puts the training simulators, and that it may."""
    count = plan.stage.simulators
    nodes = plan.profile.for_simulators(count).nodes
    found = f"{count} training simulator{'s' * (count > 1)} on {nodes} node{'s' * (nodes > 1)}"
    if nodes > 1 and plan.stage.simulator.kind == "external":
        raise Mistake(f"{found}: external servers run where they are", f"set nodes: 1 in {plan.profile_file}")
    return found
