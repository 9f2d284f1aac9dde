"""What known sites say of a job: every rule has its source, and refuses a profile that breaks it."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput
from td3_hpc.launch.commands.cluster import cluster
from td3_hpc.launch.jobs.submission import load_cluster, read_profile
from td3_hpc.launch.site_rules import Rule, check_profile, is_in_profiles, judge, read_site
from td3_hpc.shipped import site_names
from tests.launch.jobs.test_submission import PERSONAL
from tests.paths import ROOT

TESTS = ("required", "forbidden", "one_of", "none_of", "matches", "at_most", "at_least")
TESTED = [
    pytest.param(name, key, rule, id=f"{name}-{number}-{key}")
    for name in site_names()
    for number, (key, rule) in enumerate(read_site(name).rules)
    if any(getattr(rule, test) for test in TESTS)
]


def profile_of(name: str) -> ClusterConfig:
    account = "def-me" if name == "narval" else "project_1"
    return load_cluster(name, (*PERSONAL, f"account={account}"))


def changed(profile: ClusterConfig, key: str, value: Any) -> ClusterConfig:
    """A profile with another value of a rule's key, unchecked."""
    if key == "walltime":
        return profile.model_copy(update={"walltime_minutes": value})
    if key == "gpus_on_a_node":
        return profile.model_copy(update={"gres": None, "gpus": None, "gpus_per_node": value or None})
    if key == "cpus_for_each_gpu":
        return profile.model_copy(update={"cpus": value * (profile.gpus_on_a_node or 1)})
    if key in ("memory_of_a_node_gib", "memory_for_each_gpu_gib"):
        return profile.model_copy(update={"memory_gib": float(value), "mem_per_cpu": None, "mem_per_gpu": None})
    section, _, name = key.partition(".")
    if section == "container":
        assert profile.container is not None
        return profile.model_copy(update={"container": profile.container.model_copy(update={name: value})})
    if section == "sbatch":
        return profile.model_copy(update={"sbatch": {name: value}})
    return profile.model_copy(update={key: value})


def breaches(profile: ClusterConfig, key: str, rule: Rule) -> list[ClusterConfig]:
    """A profile for each way of breaking a rule: each test of it, each partition's or QoS's limit."""
    found = []
    if rule.required:
        found.append(changed(profile, key, None))
    if rule.forbidden:
        found.append(changed(profile, key, 1.0 if key == "memory_gib" else "gpu:1"))
    if rule.one_of or rule.matches:
        found.append(changed(profile, key, "nvidia" if key == "container.gpu" and "amd" in rule.one_of else "amd"))
    found += [changed(profile, key, value) for value in rule.none_of]
    for limit, step in ((rule.at_most, 1), (rule.at_least, -1)):
        limits = limit if isinstance(limit, dict) else {profile.partition: limit} if limit is not None else {}
        for where, value in limits.items():
            other = profile.model_copy(update={"partition": where, "qos": where})
            found.append(changed(other, key, minutes(value) + step))
    return found


def minutes(limit: float | str) -> int:
    if not isinstance(limit, str):
        return int(limit)
    days, _, clock = limit.rpartition("-")
    hours, rest, _ = clock.split(":")
    return int(days or 0) * 1440 + int(hours) * 60 + int(rest)


@pytest.mark.parametrize(("name", "key", "rule"), TESTED)
def test_a_profile_that_breaks_a_rule_is_refused_in_the_sites_words(name: str, key: str, rule: Rule) -> None:
    site = read_site(name)
    broken = breaches(profile_of(name), key, rule)

    assert broken, "this test knows no way to break the rule"
    for profile in broken:
        found = next(item.result for item in judge(site, profile) if item.rule == rule)
        assert found.status == ("note" if rule.advice else "mistake"), f"{key} of {profile.partition}: {found}"
        assert rule.says in found.found
        assert rule.at in found.found
        assert found.change


@pytest.mark.parametrize("name", site_names())
def test_a_sites_own_profile_breaks_none_of_its_rules(name: str) -> None:
    broken = [item.result for item in judge(read_site(name), profile_of(name)) if item.result.status == "mistake"]

    assert broken == []


@pytest.mark.parametrize("name", site_names())
def test_every_key_of_a_known_site_quotes_the_site_or_is_marked_unverified(name: str) -> None:
    site = read_site(name)
    _, values, _ = read_profile(name)
    container = {f"container.{key}" for key in values.pop("container")}

    quoted, keys = {key for key, _ in site.rules}, values.keys() | container
    assert keys <= quoted | set(site.unverified)
    assert set(site.unverified) <= keys
    assert not quoted & set(site.unverified)
    for _, rule in site.rules:
        assert len(rule.says) > 10
        assert rule.at.startswith("https://")
        assert date(2026, 1, 1) < rule.read
        assert rule.stored is None or rule.stored <= rule.read


def test_at_least_twelve_systems_are_known() -> None:
    assert len(site_names()) >= 12
    assert any(profile_of(name).no_carla for name in site_names()), "none has AMD's GPUs"


def test_the_documents_table_has_every_site_and_what_is_unverified() -> None:
    lines = (ROOT / "docs" / "on-a-cluster.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split("`")[1]: [cell.strip() for cell in line.split("|")] for line in lines if line.startswith("| `")}

    for name in site_names():
        site = read_site(name)
        assert rows[name][-3:-1] == [str(len(site.rules)), ", ".join(site.unverified)], f"docs/on-a-cluster.md: {name}"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cluster, ["check", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_the_command_names_what_is_personal_and_what_is_unverified() -> None:
    status, output = run("mahti")

    assert status == 2
    assert "account\tmistake\tmissing, your project's Unix group" in output
    assert "requeue\tnot checked\trequeue slurm: unverified" in output
    assert output.rstrip().endswith("3 mistakes, 2 keys unverified; none of this was tried there")
    given = [word for pair in PERSONAL for word in ("-c", pair)]
    assert run("mahti", *given)[0] == 0


def test_a_profile_of_ones_own_is_held_to_a_sites_rules(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("partition: gpusmall\ngres: gpu:a100:1\nwalltime: 2-00:00:00\ncpus: 4\n")

    status, output = run(str(own), "--site", "mahti", "--json")

    answer = json.loads(output)
    assert (status, answer["site"], answer["mistakes"]) == (2, "mahti", 2)
    walltime = next(check for check in answer["checks"] if check["check"] == "walltime")
    assert walltime["found"].startswith("walltime 48 h is more than 1-12:00:00: “| `gpusmall` | 36 hours")
    assert walltime["source"]["at"].startswith("https://docs.csc.fi/")
    with pytest.raises(BadInput, match=rf"mine: not a known site, .* --site takes {', '.join(site_names())}$"):
        check_profile(str(own), None)


def test_where_carla_cannot_render_the_check_says_so_in_one_line() -> None:
    _, judgements = check_profile("lumi-g", None, PERSONAL)

    words = [item.result for item in judgements if item.result.check == "CARLA"]
    assert [(word.status, word.change) for word in words] == [("note", "simulator.kind: embedded needs no GPU")]
    assert "none for AMD's GPUs" in words[0].found


def test_what_no_profile_has_is_told_and_not_tested() -> None:
    network = next(
        item.result for item in judge(read_site("frontier"), profile_of("frontier")) if item.result.check == "network"
    )

    assert network.status == "ok"
    assert network.found.startswith("“By default, the compute nodes are closed off from the internet.”")
    assert not is_in_profiles("network")
