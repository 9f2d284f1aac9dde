"""Reports from records written here event by event; tests/training/test_run.py makes them from whole runs."""

import re

import pytest

from td3_hpc.campaign.history import read_history
from td3_hpc.campaign.metrics import critical_metrics
from td3_hpc.campaign.report import write_report
from td3_hpc.config import StageConfig, dump_yaml
from td3_hpc.errors import BadInput
from td3_hpc.training.record import RunRecord

COMPONENTS = ("efficiency", "lane_keeping", "comfort", "safety", "progress")
CONFIG = StageConfig.model_validate(
    {
        "name": "short",
        "training": {"total_steps": 200, "learning_starts": 100},
        "evaluation": {"every_steps": 100},
        "checkpoint": {"every_steps": 100},
    }
)


def interval(first, last, **changes):
    fields = {"first_step": first, "last_step": last, "reward": 0.1, "steps_per_second": 9.0}
    fields |= {f"reward/{name}": 0.1 for name in COMPONENTS}
    fields |= {f"reward_magnitude/{name}": 0.1 for name in COMPONENTS}
    fields |= {
        "dimension_errors": 0,
        "non_finite": 0,
        "image_min": -1,
        "image_max": 1,
        "vector_min": 0,
        "vector_max": 1,
    }
    if first > 100:
        fields |= {"updates": 100, "actor_updates": 50, "critic_loss": 0.5, "q_mean": 0.1, "q_abs_max": 2.0}
        fields |= {"gradient/actor_cnn_max": 3.0}
    return fields | changes


def evaluation(cycle):
    means = {"return": 1.0, "length": 9, "route_completion": 0.5, "mean_speed_kmh": 20.0}
    return {"cycle": cycle, "means": means | {"collisions": 0, "lane_invasions": 1}, "episodes": [{}], "seconds": 1}


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / "config.yaml").write_text(dump_yaml(CONFIG))
    return tmp_path


def write(run_dir, second=None, finished=True):
    record = RunRecord(run_dir, clock=lambda: 1e9)
    record.open()
    environment = {"host": "node1"}
    record.append("attempt", epoch=1, resumed_from=None, not_exact=[], messages=[], environment=environment)
    record.step = 100
    record.append("interval", **interval(1, 100))
    record.append("episode", index=0, first_step=1, last_step=100, seed=1, end_reason="collision", **{"return": 2.0})
    record.append("evaluation", **evaluation(1))
    record.append("simulator", purpose="training", state="died", detail="by SIGKILL")
    record.step = 200
    norms = dict.fromkeys(("critic_cnn", "critic", "actor_cnn", "actor"), 3.0)
    record.append("gradients", update=100, before_clipping=norms, after_clipping=norms | {"actor_cnn": 1.0})
    record.append("interval", **(second or interval(101, 200)))
    record.append("evaluation", **evaluation(2))
    if finished:
        record.append("finished", updates=100, actor_updates=50, episodes=1, evaluations=2, replay_rows=202)
    record.close()


def failed(run_dir):
    return {metric.name: metric.achieved for metric in critical_metrics(read_history(run_dir)) if not metric.passed}


def test_a_good_run_meets_every_metric(run_dir):
    write(run_dir)
    assert failed(run_dir) == {}
    text = write_report(run_dir).read_text()
    assert text.startswith("# short: all critical metrics met")
    assert "| Learning phase | steps 101–200 | steps 101–200 | ✅ |" in text
    assert "| 100 | 200 | 3 | 3 | 3 → 1 | 3 |" in text
    assert "training simulator: died by SIGKILL" in text
    assert re.search(r"\| progress \| 0.5 \| \+0.1000 \| 20 % \|", text)


@pytest.mark.parametrize(
    ("changes", "metric", "achieved"),
    [
        ({"gradient/actor_cnn_max": 7_475_702}, "Actor CNN gradient norm", "7.48e+06"),
        ({"q_abs_max": 11e6}, "Q magnitude", "1.1e+07"),
        ({"dimension_errors": 2}, "Dimension errors", "2"),
        ({"non_finite": 1}, "NaN/Inf detected", "1"),
        ({"actor_updates": 100}, "Actor updates", "100"),
        ({"image_max": 255}, "Observation range", "[-1.00, 255.00]"),
    ],
)
def test_each_metric_can_fail(run_dir, changes, metric, achieved):
    write(run_dir, interval(101, 200, **changes))
    assert failed(run_dir) == {metric: achieved}


def test_a_run_in_progress_says_so(run_dir):
    write(run_dir, finished=False)
    assert "**not complete**" in write_report(run_dir).read_text()


def test_a_run_that_has_just_started_still_has_a_report(run_dir):
    record = RunRecord(run_dir)
    record.open()
    record.close()
    text = write_report(run_dir).read_text()
    assert "never started" in text
    assert "No evaluation cycle is complete yet." in text


def test_the_page_is_self_contained(run_dir):
    write(run_dir)
    write_report(run_dir)
    page = (run_dir / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<table>" in page


def test_a_directory_without_a_run_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"no config\.yaml here"):
        write_report(tmp_path)
