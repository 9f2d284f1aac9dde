"""Rules of known sites, each in the site's own words, applied to a profile.

A site's file beside this module (sites/NAME.yaml) is a profile with three more keys: `personal`, what its users have to
give; `sources`, what the site says of a key, one or several rules; `unverified`, keys of which no page said anything.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from td3_hpc.config import apply_overrides, read_yaml, validate
from td3_hpc.config.base import ConfigSection
from td3_hpc.config.changes import value_at
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.config.sbatch import seconds
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs.submission import not_given, read_profile
from td3_hpc.launch.preflight.finding import CheckResult
from td3_hpc.shipped import SITES, site_names

#: What rules count that no key of the profile says by itself.
COUNTED = ("gpus_on_a_node", "cpus_for_each_gpu", "memory_for_each_gpu_gib", "memory_of_a_node_gib")
Limit = int | float | str | dict[str, int | float | str]


class Rule(ConfigSection):
    """What a site says of a key, and, where it can be told from a profile, the test of it.

    Keys are those of the profile and of COUNTED; others, such as `network`, are told and not tested.
    """

    says: str
    """The site's sentence."""
    at: str
    """Its address."""
    read: date
    """When it was looked up."""
    stored: date | None = None
    """Date of the stored copy that was read, where it has one."""
    advice: bool = False
    """A profile that breaks it is told so, and not refused."""
    required: bool = False
    forbidden: bool = False
    one_of: list[str] = []
    none_of: list[str] = []
    matches: str | None = None
    """A regular expression for the whole value."""
    at_most: Limit | None = None
    """A number, or for walltime a time; or one for each of several QoS or partitions, the QoS's before the
    partition's."""
    at_least: Limit | None = None


@dataclass(frozen=True)
class Site:
    """A known site's rules."""

    name: str
    rules: list[tuple[str, Rule]]
    """Keys and what the site says of them; a key may come several times."""
    unverified: list[str]


@dataclass(frozen=True)
class Judgement:
    """One line of a check, and the rule that it is of; None for what is unverified or personal."""

    result: CheckResult
    rule: Rule | None = None

    def as_json(self) -> dict[str, Any]:
        """The line, with the rule's source beside it."""
        source = self.rule.model_dump(mode="json", include={"says", "at", "read", "stored"}) if self.rule else None
        return {**asdict(self.result), "source": source}


def read_site(name: str) -> Site:
    """A known site's rules. Raises BadInput that lists the known sites, where it is none."""
    if name not in site_names():
        raise BadInput(
            f"{name}: not a known site, whose rules could be checked; --site takes {', '.join(site_names())}"
        )
    path = SITES / f"{name}.yaml"
    values = read_yaml(path)
    rules = [
        (key, validate(Rule, item, f"{path}: sources.{key}"))
        for key, items in values["sources"].items()
        for item in (items if isinstance(items, list) else [items])
    ]
    return Site(name, rules, values.get("unverified", []))


def check_profile(cluster: str, site: str | None, overrides: Sequence[str] = ()) -> tuple[Site, list[Judgement]]:
    """The rules of a site, applied to a profile by its name or file; by default the site is the profile's name.

    What is personal and missing is a mistake, by name, and keeps the rest from nothing. Raises BadInput for a profile
    with other mistakes.
    """
    path, values, personal = read_profile(cluster, overrides)
    known = read_site(site or path.stem)
    missing = not_given(values, personal)
    filled_in = apply_overrides(values, [f"{key}=/MISSING/{key}" for key in missing])
    profile = validate(ClusterConfig, filled_in, str(path))
    asked = [
        Judgement(CheckResult(key, "mistake", f"missing, {what}", f"give -c {key}=..."))
        for key, what in missing.items()
    ]
    word = profile.no_carla
    carla = [Judgement(CheckResult("CARLA", "note", word, "simulator.kind: embedded needs no GPU"))] if word else []
    return known, asked + judge(known, profile, missing) + carla


def judge(site: Site, profile: ClusterConfig, passed_over: Collection[str] = ()) -> list[Judgement]:
    """Every rule of a site on a profile, then every key that is unverified; those that are passed over are left out."""
    told = [Judgement(_judged(key, rule, profile), rule) for key, rule in site.rules if key not in passed_over]
    open_ones = [
        CheckResult(
            key, "not checked", f"{_shown(key, profile)}: unverified, no page of the site's was found to say it"
        )
        for key in site.unverified
    ]
    return told + [Judgement(result) for result in open_ones]


def value_of(key: str, profile: ClusterConfig) -> Any:
    """What a profile has under a rule's key; None where it has nothing."""
    gpus = profile.gpus_on_a_node
    derived = {
        "walltime": profile.walltime_minutes,
        "gpus_on_a_node": gpus or 0,
        "memory_of_a_node_gib": profile.memory_of_a_node_gib,
        "cpus_for_each_gpu": profile.cpus / gpus if gpus else None,
        "memory_for_each_gpu_gib": profile.memory_of_a_node_gib / gpus
        if gpus and profile.memory_of_a_node_gib
        else None,
    }
    if key in derived:
        return derived[key]
    section, _, name = key.partition(".")
    if section == "sbatch" and name:
        return profile.sbatch.get(name, "") if name in profile.sbatch else None
    found = value_at(profile.model_dump(mode="json"), key)
    return None if found in ({}, []) else found


def is_in_profiles(key: str) -> bool:
    """Whether a profile can have a rule's key; what stands under others, such as network, is told and not tested."""
    return key.partition(".")[0] in {*ClusterConfig.model_fields, *COUNTED}


def _judged(key: str, rule: Rule, profile: ClusterConfig) -> CheckResult:
    value, quote = value_of(key, profile), f"“{rule.says}” ({rule.at})"
    broken = _broken(key, rule, value, profile)
    if broken is None:
        shown = _shown(key, profile) if _concerns(rule, profile) else "not of this partition"
        return CheckResult(key, "ok", f"{shown}: {quote}" if is_in_profiles(key) else quote)
    found, change = broken
    return CheckResult(key, "note" if rule.advice else "mistake", f"{found}: {quote}", change)


def _broken(key: str, rule: Rule, value: Any, profile: ClusterConfig) -> tuple[str, str] | None:
    """What is wrong and what to do; None where a profile's value keeps the rule."""
    shown = _shown(key, profile)
    if value is None or value == 0:
        if rule.required or _limit(rule.at_least, profile):
            return f"{key} is missing", f"give -c {_settable(key)}=..."
        return None
    if rule.forbidden:
        return f"{shown} is not allowed", f"leave {key} out"
    if rule.one_of and str(value) not in rule.one_of:
        return f"{shown} is none of the site's", f"one of {', '.join(rule.one_of)}"
    if str(value) in rule.none_of:
        return f"{shown} is not for this", f"another {key}"
    if rule.matches is not None and not re.fullmatch(rule.matches, str(value)):
        return f"{shown} is not of the site's form", f"write it as {rule.matches}"
    most, least = _limit(rule.at_most, profile), _limit(rule.at_least, profile)
    if most is not None and value > _number(most):
        return f"{shown} is more than {most}", f"at most {most}"
    if least is not None and value < _number(least):
        return f"{shown} is less than {least}", f"at least {least}"
    return None


def _concerns(rule: Rule, profile: ClusterConfig) -> bool:
    """Whether a rule, where it is of certain partitions or QoS, is of a profile's."""
    limits = [limit for limit in (rule.at_most, rule.at_least) if limit is not None]
    return not limits or any(_limit(limit, profile) is not None for limit in limits)


def _limit(limit: Limit | None, profile: ClusterConfig) -> int | float | str | None:
    """The limit that holds for a profile: its QoS's, else its partition's, where there is one for each."""
    if not isinstance(limit, dict):
        return limit
    return next((limit[name] for name in (profile.qos, profile.partition) if name in limit), None)  # type: ignore[index]


def _number(limit: int | float | str) -> float:
    """A limit as values are: times in minutes."""
    if not isinstance(limit, str):
        return limit
    time = seconds(limit)
    assert time, f"{limit}: no time as Slurm writes it"
    return time / 60


def _shown(key: str, profile: ClusterConfig) -> str:
    value = value_of(key, profile)
    if value is None or value == "":
        return key if value == "" else f"no {key}"
    if key == "walltime":
        return f"walltime {value // 60} h" + (f" {value % 60} min" if value % 60 else "")
    return f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"


def _settable(key: str) -> str:
    """The profile's key that changes what a rule's key counts."""
    return "gpus_per_node" if key == "gpus_on_a_node" else key
