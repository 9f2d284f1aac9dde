"""The run directory can be written, belongs to no other job, and holds no other run."""

import tempfile

from td3_hpc.checkpoint.ownership import Ownership
from td3_hpc.checkpoint_names import STATE_DIR
from td3_hpc.config import CONFIG_FILE
from td3_hpc.errors import BadInput, UserError
from td3_hpc.launch.jobs.submission import refuse_second_job
from td3_hpc.launch.preflight.finding import Mistake
from td3_hpc.launch.preflight.plan import Plan, existing_parent


def check_writable(plan: Plan) -> str:
    """A file can be made there; it has no name and leaves nothing."""
    place = existing_parent(plan.run_dir)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise Mistake(
            f"{place}: cannot be written ({(error.strerror or '').lower()})",
            f"give another --run-dir, or correct runs in {plan.profile_file}",
        ) from None
    return str(plan.run_dir) if place == plan.run_dir else f"{plan.run_dir}, to be made in {place}"


def check_not_taken(plan: Plan) -> str:
    """No job of this run is queued or running, and no process trains in it."""
    try:
        refuse_second_job(plan.run_dir)
    except BadInput as error:
        raise Mistake(str(error), "") from None
    if (plan.run_dir / STATE_DIR).is_dir():
        try:
            Ownership(plan.run_dir / STATE_DIR).refuse_live_holder()
        except UserError as error:
            raise Mistake(str(error), "") from None
    return "no job or process works on it"


def check_checkpoints(plan: Plan) -> str:
    """A run goes on from what is there, or begins; nothing is there that its user must decide about.

    The files' sizes are compared, not their checksums: a long run's replay buffer would keep a login node busy.
    """
    if plan.anew:
        return "none: the run that is there is set aside"
    from td3_hpc.checkpoint.survey import Verified, survey  # loads HDF5
    from td3_hpc.training.run import refuse_lost  # loads PyTorch

    try:
        found = survey(plan.run_dir, Verified(plan.run_dir, checksums=False))
        refuse_lost(plan.run_dir, found.newest is not None)
    except UserError as error:
        raise Mistake(str(error), "") from None
    except OSError as error:
        raise Mistake(f"{plan.run_dir}: cannot be read ({(error.strerror or '').lower()})", "") from None
    return f"continues from step {found.newest.step}" if found.newest else "none yet"


def check_same_run(plan: Plan) -> str:
    """What is there already is this very run."""
    stage = plan.stage
    if plan.anew:
        return "a new run; the one that is there is set aside"
    if not (plan.run_dir / CONFIG_FILE).exists():
        return "a new run"
    from td3_hpc.training.run import check_unchanged  # loads PyTorch

    check_unchanged(plan.run_dir, stage)
    return "continues the run that is there"
