"""Is there what the learner needs: the device, and the encoder that it begins with?"""

from td3_hpc.launch.doctor.node import look_for_gpus, look_for_torch
from td3_hpc.launch.preflight.finding import Doubt, Mistake
from td3_hpc.launch.preflight.nodes import judge_torch
from td3_hpc.launch.preflight.plan import Plan
from td3_hpc.launch.preflight.simulator import visible


def check_device(plan: Plan) -> str:
    """A GPU, where one is asked for: in the profile, and, without Slurm and container, on this machine."""
    device, profile = plan.stage.training.device, plan.profile
    here = not profile.queued and not profile.container
    if here and plan.stage.agent.precision == "bfloat16":
        return judge_torch(look_for_torch(), look_for_gpus(), plan)
    if device != "cuda":
        return "the CPU" if device == "cpu" else "a GPU where there is one, else the CPU"
    if profile.queued and profile.gpu_request is None:
        found, remedy = "training.device: cuda; the profile asks for no GPU", f"set gres: gpu:1 in {plan.profile_file}"
        if not profile.brings_driver:
            raise Mistake(found, remedy)
        raise Doubt(f"{found}: right where a partition's nodes come whole", f"elsewhere {remedy}")
    if profile.container:
        if not profile.brings_driver:
            raise Mistake(
                "training.device: cuda; the container is started without the driver",
                f"set container.gpu: nvidia, or amd, in {plan.profile_file}",
            )
        return f"{profile.gpu_request or 'this machine'}, with the driver in the container"
    if profile.queued:
        return str(profile.gpu_request)
    return judge_torch(look_for_torch(), look_for_gpus(), plan)


def check_pretrained(plan: Plan) -> str:
    """The encoder that the CNNs begin with, where one is named: the job sees it, and it is of the stage's kind."""
    from td3_hpc.training.pretrained import refuse_untrained, weights_for

    agent = plan.stage.agent
    refuse_untrained(agent)
    if agent.pretrained is None:
        return "none is asked for"
    host = visible(plan, agent.pretrained, "agent.pretrained")
    weights_for(agent.model_copy(update={"pretrained": host}))
    return str(agent.pretrained)
