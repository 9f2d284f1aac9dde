"""Secrets reach the job, and stand in none of its files."""

import re
from pathlib import Path

from td3_hpc.config.secret import is_reference, read_secret, source
from td3_hpc.launch.preflight.finding import Mistake
from td3_hpc.launch.preflight.plan import Plan
from td3_hpc.training.monitors.notify import read_channels

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIAL|WEBHOOK")


def check_alerts(plan: Plan) -> str:
    """Whom alerts are told is named by a reference, which can be read where the run is."""
    alerts = plan.stage.monitors.alerts
    named = {name: value for name in ("command", "webhook") if (value := getattr(alerts, name)) is not None}
    for name, value in named.items():
        if not is_reference(value):
            raise Mistake(
                f"monitors.alerts.{name} is written out, and so redacted in the job's copy",
                "write env:NAME or file:PATH in its place",
            )
        if plan.profile.container is not None:
            _require_inside(plan, name, value)
    if plan.profile.container is None and named:
        read_channels(alerts)
    return f"told to a {' and a '.join(named)}" if named else "stay in the run directory and the log"


def _require_inside(plan: Plan, name: str, value: str) -> None:
    """Raise Mistake where the container lacks what a reference names."""
    kind, what = source(value)
    assert plan.profile.container is not None
    if kind == "env" and what not in plan.profile.container.environment:
        raise Mistake(
            f"monitors.alerts.{name}: the container's environment has no {what}",
            f"write container.environment: {{{what}: env:{what}}} in {plan.profile_file}",
        )
    if kind == "file" and plan.on_host(Path(what)) is None:
        raise Mistake(
            f"monitors.alerts.{name}: {what} is not in the container",
            f"bind its folder, by its whole path, with container.binds in {plan.profile_file}",
        )


def check_container_environment(plan: Plan) -> str:
    """The container's secrets can be read here, and so probably there; none is written out."""
    assert plan.profile.container is not None, "this check is for jobs in a container"
    secret = []
    for name, value in plan.profile.container.environment.items():
        if is_reference(value):
            read_secret(f"container.environment.{name}", value)
            secret.append(name)
        elif _SECRET_NAME.search(name.upper()):
            raise Mistake(
                f"container.environment.{name} is written out, and would stand in the job's script",
                f"write env:{name} or file:PATH in its place",
            )
    return ", ".join(secret) or "no secrets"
