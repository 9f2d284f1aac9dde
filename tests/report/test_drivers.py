"""Whether it drives: the first sentence and the bars, from kept runs with other drivers' drives put into the record."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from td3_hpc.gates.history import RunHistory, read_history
from td3_hpc.gates.registry import GateResult
from td3_hpc.record import RECORD_FILE
from td3_hpc.report.drivers import POLICY, drivers, headline, sight
from td3_hpc.report.figures import bars
from td3_hpc.report.run_report import write_report
from td3_hpc.training.evaluation.measures import Estimate


def episode(route: int, completion: float) -> dict[str, Any]:
    return {
        "end_reason": "route_completed" if completion == 1 else "off_road",
        "return": 10.0,
        "length": 100,
        "route_completion": completion,
        "route_length_m": 200.0,
        "distance_m": 200.0 * completion,
        "mean_speed_kmh": 72.0 * completion,
        "collisions": 0,
        "lane_invasions": 1,
        "reward_components": {"comfort": -1.0},
        "route": route,
    }


def episodes(*completions: float) -> list[dict[str, Any]]:
    return [episode(route, completion) for route, completion in enumerate(completions)]


def driven(run: Path, policy: list[float], references: dict[str, list[float]]) -> RunHistory:
    """The run, with these completions in its last cycle and as drives of others."""
    events = [json.loads(line) for line in (run / RECORD_FILE).read_text().splitlines()]
    last = [event for event in events if event["event"] == "evaluation"][-1]
    last["episodes"] = episodes(*policy)
    for name, completions in references.items():
        drive = {"event": "reference", "policy": name, "episodes": episodes(*completions)}
        events.insert(events.index(last) + 1, {**drive, "step": last["step"], "time": last["time"]})
    (run / RECORD_FILE).write_text("".join(json.dumps(event) + "\n" for event in events))
    return read_history(run)


def judged(status: Any, name: str = "above_constant") -> list[GateResult]:
    return [GateResult(name, "", "driving", status, "blocking", "", "", 1.0, "", (), "", "", {})]


@pytest.mark.parametrize(
    ("policy", "status", "mark", "sentence"),
    [
        (
            [1.0, 0.5, 1.0],
            "pass",
            "pass",
            "It drives: completes 83 % of the routes, 2 of 3 to the end; a car that never steers completes 30 %.",
        ),
        (
            [0.2, 0.25, 0.3],
            "fail",
            "fail",
            "It does not drive: completes 25 % of the routes, none of 3 to the end; a car that never steers completes "
            "30 %.",
        ),
        (
            [0.3, 0.4, 0.5],
            "fail",
            "fail",
            "It does not drive: completes 40 % of the routes, none of 3 to the end; a car that never steers completes "
            "30 %, and the difference may be chance.",
        ),
        (
            [0.5, 0.6, 0.7],
            "pass",
            "fail",
            "It does not drive: completes 60 % of the routes, none of 3 to the end; a car that never steers completes "
            "30 %.",
        ),
        (
            [0.5, 0.6, 1.0],
            "not_judged",
            "info",
            "Too early to tell (3 episodes): it completes 70 % of the routes, 1 of 3 to the end; a car that never "
            "steers completes 30 %.",
        ),
    ],
)
def test_the_sentence(healthy_run, policy, status, mark, sentence):
    history = driven(healthy_run, policy, {"constant": [0.3, 0.3, 0.3]})
    chip = headline(history, judged(status))
    assert (chip.status, chip.text) == (mark, sentence)


@pytest.mark.parametrize(
    ("seeing", "status", "sentence"),
    [
        (3, "pass", "It sees: gets through 75 % of 4 situations in which one must see, 25 % where "),
        (1, "fail", "It does not see: gets through 25 % of 4 situations in which one must see, and 25 % where "),
    ],
)
def test_whether_it_sees_is_said_beside_it_once_the_run_was_tested(healthy_run, seeing, status, sentence):
    history = read_history(healthy_run)
    assert sight(history, judged("not_judged", "picture_matters")) is None
    last = json.loads((healthy_run / RECORD_FILE).read_text().splitlines()[-1])
    drives = [episodes(*[1.0] * through + [0.4] * (4 - through)) for through in (seeing, 1)]
    picture = {"event": "picture", "suite": "must-see", "with_picture": drives[0], "without_picture": drives[1]}
    with (healthy_run / RECORD_FILE).open("a") as record:
        record.write(json.dumps({**picture, "step": last["step"], "time": last["time"]}) + "\n")
    chip = sight(read_history(healthy_run), judged(status, "picture_matters"))
    assert chip is not None
    assert (chip.status, chip.text) == (status, f"{sentence}its picture is grey.")
    assert f"**{chip.text}**" in write_report(healthy_run).read_text().splitlines()


def test_without_other_drivers_it_says_so_and_shows_the_policy_alone(healthy_run):
    history = driven(healthy_run, [0.2, 0.3, 0.4], {})
    assert list(drivers(history)) == [POLICY]
    assert headline(history, judged("not_judged")).text == (
        "It completes 30 % of the routes (3 episodes); no other driver drove them, so nothing says what that is worth."
    )
    text = write_report(healthy_run).read_text()
    assert "No other driver's drives on these routes are in the record." in text


def test_drives_on_other_routes_are_not_compared(healthy_run):
    history = driven(healthy_run, [0.2, 0.3, 0.4], {"constant": [0.3, 0.3], "random": [0.1, 0.1, 0.1]})
    assert list(drivers(history)) == [POLICY, "random actions"]


def test_the_first_screen_stands_before_everything_else(healthy_run):
    driven(healthy_run, [0.2, 0.25, 0.3], {"random": [0.1] * 3, "pure-pursuit": [1.0] * 3, "constant": [0.3] * 3})
    text = write_report(healthy_run).read_text()
    page = (healthy_run / "report.html").read_text()

    sentence = text.splitlines()[2]
    assert sentence.startswith("**")
    assert "completes 25 % of the routes, none of 3 to the end; a car that never steers completes 30 %" in sentence
    order = ["Does it drive?", "figures/drivers.png", "figures/map.png", "| Driver |", "Blocking gates", "Open items"]
    assert [text.index(what) for what in order] == sorted(text.index(what) for what in order)
    rows = [line for line in text.splitlines() if line.startswith("| [")][:4]
    assert [row.split("]")[0] for row in rows] == [
        "| [this policy",
        "| [never steers",
        "| [random actions",
        "| [pure pursuit",
    ]
    assert "100 % (100 to 100)" in rows[3]
    assert page.index('class="headline') < page.index('id="drives"') < page.index('class="tiles"')
    assert page.count('aria-label="map"') == 1


def test_bars_are_as_long_as_the_figures_and_their_whiskers_as_the_intervals():
    figure, axes = plt.subplots()
    try:
        bars(
            axes, {"this policy": Estimate(28.0, 20.0, 40.0), "never steers": Estimate(30.0, 30.0, 30.0)}, "this policy"
        )
        assert [bar.get_width() for bar in axes.patches] == [28.0, 30.0]
        whiskers = [
            container[2][0].get_segments()[0][:, 0].tolist() for container in axes.containers if len(container) == 3
        ]
        assert whiskers == [[20.0, 40.0], [30.0, 30.0]]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["this policy", "never steers"]
        assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first name is not on top"
        assert [text.get_text() for text in axes.texts] == ["28 %", "30 %"]
    finally:
        plt.close(figure)
