"""Do the training simulators fit the job's nodes?"""

from td3_hpc.launch.preflight.finding import Mistake
from td3_hpc.launch.preflight.plan import Plan


def check_placement(plan: Plan) -> str:
    """Every node of the job has a training simulator that the job may place there."""
    nodes, count = plan.profile.nodes, plan.stage.simulators
    found = f"{count} training simulator{'s' * (count > 1)} on {nodes} node{'s' * (nodes > 1)}"
    if nodes > count:
        raise Mistake(
            f"{found}: {nodes - count} would do nothing", f"lower nodes in {plan.profile_file}, or raise simulators"
        )
    if nodes > 1 and plan.stage.simulator.kind == "external":
        raise Mistake(f"{found}: external servers run where they are", f"set nodes: 1 in {plan.profile_file}")
    return found
