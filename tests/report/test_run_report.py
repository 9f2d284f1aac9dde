"""Reports of a kept run, whole and damaged, and of real runs that failed (tests/judged_runs.py)."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import yaml

from td3_hpc.errors import BadInput
from td3_hpc.gates.history import read_history
from td3_hpc.gates.verdict import judge
from td3_hpc.report.figures import gate_limit
from td3_hpc.report.run_report import make_document, write_report
from tests.gates.test_driving import episodes
from tests.judged_runs import RECORDS

SECTIONS = (
    "Open items",
    "Next actions",
    "Critical metrics",
    "Validation checkpoints",
    "TD3 mechanisms",
    "Gradients and values",
    "Rewards",
    "Evaluation",
    "Attempts, preemptions, incidents",
    "Resources",
    "Risks of the 1M-step run",
    "Milestones of the 1M-step run",
    "Evidence",
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects a page's identifiers and links, and checks that its tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.sources, self.open, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        fields = dict(attributes)
        self.ids += [fields["id"]] if "id" in fields and "svg" not in self.open else []
        self.links += [fields["href"]] if tag == "a" else []
        self.sources += [fields[name] for name in ("src", "data") if name in fields]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text.append(data)


def report(run_dir, **options):
    """Markdown and page of a run's report."""
    text = write_report(run_dir, **options).read_text()
    return text, (run_dir / "report.html").read_text()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A copy of the kept 1K validation run with its report: for tests that change nothing."""
    run = shutil.copytree(RECORDS / "1k", tmp_path_factory.mktemp("written") / "1k")
    return run, *report(run)


def test_a_good_run(written):
    _, text, page = written
    assert text.startswith("# 1k: GO\n")
    for section in SECTIONS:
        assert section in text
        assert section in page
    assert "Validation checkpoints: 6 of 6 passed" in text
    assert re.search(r"✅ pass \| Total steps \| 1,000 \| \[1,000\]\(#evidence-total_steps\) \| 100%", text)


@pytest.mark.parametrize("kind", ["markdown", "page"])
def test_every_link_leads_somewhere(written, kind):
    _, text, page = written
    if kind == "page":
        parsed = Page(page)
        links, anchors = parsed.links, parsed.ids
        assert len(anchors) == len(set(anchors)), "an anchor stands twice"
    else:
        links, anchors = re.findall(r"\]\((#[^)]+)\)", text), re.findall(r'<a id="([^"]+)"', text)
    assert len(links) > 40
    assert {link.removeprefix("#") for link in links} <= set(anchors)


@pytest.mark.parametrize("name", ["1k", "diverging", "broken"])
def test_every_row_has_a_cell_for_each_column(kept_run, name):
    run = kept_run(name)
    document = make_document(read_history(run), compare_with=run)
    for section in document.sections:
        for table in (block for block in section.blocks if block.kind == "table"):
            lengths = {len(row) for row in table.rows}
            assert lengths <= {len(table.columns)}, f"{section.title}: {table.columns} has rows of {lengths}"
            assert not table.anchors or len(table.anchors) == len(table.rows)


def test_evidence_names_lines_that_hold_it(healthy_run):
    lines = (healthy_run / "record.jsonl").read_text().splitlines()
    for result in judge(healthy_run).gates:
        for item in result.evidence:
            if item.count:
                for number in (item.first_line, item.last_line):
                    assert json.loads(lines[number - 1])["event"] == item.event, result.name


def test_the_page_is_self_contained_and_well_formed(written):
    _, _, page = written
    parsed = Page(page)
    assert parsed.sources, "the strips of the evaluation are missing"
    assert all(source.startswith("data:image/png;base64,") for source in parsed.sources)
    assert all(link.startswith("#") for link in parsed.links)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "<script" not in page


def test_figures_take_the_page_s_colour(written):
    figures = written[0] / "figures"
    drawn = sorted(path.stem for path in figures.glob("*.svg"))
    assert drawn == ["completion", "drivers", "gradients", "map", "returns", "rewards", "values"]
    for path in figures.glob("*.svg"):
        assert "currentColor" in path.read_text()
    assert sorted(path.stem for path in figures.glob("*.png")) == drawn


def test_figures_draw_the_limits_that_the_run_is_judged_by(healthy_run):
    config = (healthy_run / "config.yaml").read_text()
    assert "q_factor: 2.0" in config
    (healthy_run / "config.yaml").write_text(config.replace("q_factor: 2.0", "q_factor: 3.0"))
    (healthy_run / "gates.yaml").write_text("actor_cnn_gradient: {limit: 77}")
    history = read_history(healthy_run)
    assert [gate_limit(history, name) for name in ("actor_cnn_gradient", "q_magnitude")] == [77, 3.0]
    targets = {gate.name: gate.target for gate in judge(healthy_run).gates}
    assert (targets["actor_cnn_gradient"], targets["q_magnitude"].partition(" (")[0]) == ("≤ 77", "-630 to 300")

    (healthy_run / "gates.yaml").write_text("actor_cnn_gradient: off")
    assert gate_limit(history, "actor_cnn_gradient") is None
    (healthy_run / "gates.yaml").write_text("actor_cnn_gradient: [")
    assert gate_limit(history, "q_magnitude") is None, "no line rather than a wrong one"


def test_the_same_record_gives_the_same_report(written, healthy_run):
    run, *told = written
    again = report(healthy_run)
    assert [text.replace(str(healthy_run), str(run)) for text in again] == told


def test_what_the_record_says_cannot_break_the_page(healthy_run):
    with (healthy_run / "record.jsonl").open("a") as record:
        reason = "</td><script>alert(1)</script> | [x](#y) `a` \n**b**"
        event = {"event": "worker", "step": 900, "time": 1e9, "purpose": "training", "reason": reason}
        record.write(json.dumps(event) + "\n")
    text, page = report(healthy_run)
    assert "<script" not in page
    Page(page)
    row = next(line for line in text.splitlines() if "worker lost" in line)
    assert "<script" not in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


def test_a_failed_gate_stands_with_its_cause_and_a_diff(kept_run):
    diverging = kept_run("diverging")
    text, page = report(diverging)
    assert text.splitlines()[0].endswith(": NO-GO")
    assert "- [ ] **Q magnitude** (blocking)" in text
    diff = text[text.index("**Q magnitude**") :]
    diff = diff[diff.index("```diff") : diff.index("```\n")]
    assert "-     critic: 0.2\n+     critic: 0.0003" in diff
    assert '<span class="minus">-     critic: 0.2</span>' in page
    assert "-o agent.learning_rates.critic=0.0003" in text
    assert f"--compare {diverging}" in text


def test_a_run_that_broke_off_says_what_happened(kept_run):
    broken = kept_run("broken")
    text, _ = report(broken)
    assert f"--run-dir {broken}-corrected" in text, "to continue it would only fail again"
    assert "-o agent.learning_rates.critic=0.0003" in text
    assert text.splitlines()[0].endswith(": FAILED")
    assert "NaN or infinity in update" in text.splitlines()[4]


def test_against_the_run_before(healthy_run, tmp_path):
    before = shutil.copytree(healthy_run, tmp_path / "before")
    (before / "gates.yaml").write_text(
        yaml.safe_dump({"q_magnitude": {"limit": 1e-6}, "steps_per_second": {"limit": 99}})
    )
    (healthy_run / "gates.yaml").write_text(
        yaml.safe_dump({"steps_per_second": {"limit": 99}, "route_completion": {"limit": 100}})
    )
    config = (before / "config.yaml").read_text()
    (before / "config.yaml").write_text(config.replace("tau: 0.005", "tau: 0.5"))
    text, _ = report(healthy_run, compare_with=before)
    issues = text[text.index("Issues against the previous run") :]
    issues = issues[: issues.index("## ")]
    assert "`agent.tau (0.5 -> 0.005)`" in issues
    standings = {
        row.split("|")[1].strip(): row.split("|")[5].strip() for row in issues.splitlines() if row.startswith("| ")
    }
    assert standings["Q magnitude"] == "✅ resolved"
    assert standings["Speed of training"] == "❌ still there"
    assert standings["Route completion"] == "⚠️ new"


# ---- damage
def test_no_directory_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="no such run directory"):
        write_report(tmp_path / "none")


def test_a_directory_that_is_no_runs_is_left_as_it_is(tmp_path):
    (tmp_path / "report.md").write_text("another page")
    with pytest.raises(BadInput, match="not a run's directory"):
        write_report(tmp_path)
    assert (tmp_path / "report.md").read_text() == "another page"


def test_a_run_that_has_lost_all_but_its_configuration(healthy_run):
    (healthy_run / "record.jsonl").unlink()
    text, _ = report(healthy_run)
    assert "NO VERDICT" in text
    assert "record.jsonl: no such file" in text


def test_gates_that_cannot_be_read_are_the_reason(healthy_run):
    (healthy_run / "gates.yaml").write_text("q_magnitud: off")
    text, _ = report(healthy_run)
    assert "The run cannot be judged: " in text
    assert "did you mean q_magnitude?" in text


def test_a_failed_run_stays_failed_whatever_its_simulators_say_after_it(healthy_run):
    path = healthy_run / "record.jsonl"
    lines = [line for line in path.read_text().splitlines() if json.loads(line)["event"] != "finished"]
    ends = [{"event": "failed", "reason": "NaN in update 2. More"}, {"event": "simulator", "state": "ended"}]
    path.write_text("\n".join([*lines, *(json.dumps({"step": 500, "time": 1e9, **end}) for end in ends)]) + "\n")
    text, _ = report(healthy_run)
    assert "FAILED" in text.splitlines()[0]
    assert "NaN in update 2" in text


def test_a_run_that_has_just_started(healthy_run):
    (healthy_run / "record.jsonl").write_text("")
    text, _ = report(healthy_run)
    assert "NO VERDICT" in text
    assert "record.jsonl: empty" in text
    assert "No interval is complete yet" in text


def test_without_its_configuration_the_rest_is_shown(healthy_run):
    (healthy_run / "config.yaml").unlink()
    text, page = report(healthy_run)
    assert "NO VERDICT" in text
    assert "config.yaml: no such file" in text
    assert "| efficiency |" in text
    assert "Attempts, preemptions, incidents" in page


def test_a_cut_record_is_judged_as_far_as_it_goes(healthy_run):
    record = healthy_run / "record.jsonl"
    content = record.read_bytes()
    record.write_bytes(content[: len(content) * 2 // 3])
    text, _ = report(healthy_run)
    assert "1k: NOT COMPLETE" in text
    assert "lines cannot be read" in text
    assert "`td3-hpc train` continues it" in text


def test_a_run_that_the_test_of_its_picture_ended_is_no_go_and_says_how_to_go_on(healthy_run):
    record, config = healthy_run / "record.jsonl", healthy_run / "config.yaml"
    *events, end = [json.loads(line) for line in record.read_text().splitlines()]
    assert end["event"] == "finished"
    drives = episodes([1.0, 0.4])
    told = {"step": end["step"], "time": end["time"], "suite": "must-see"}
    events.append({"event": "picture", "with_picture": drives, "without_picture": drives, **told})
    record.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    config.write_text(config.read_text().replace("total_steps: 1000", "total_steps: 2000"))

    text, _ = report(healthy_run)
    assert text.startswith("# 1k: NO-GO\n")
    assert f"The run ended there, at step {end['step']:,}." in text
    assert "continues it" not in text
    command = f"echo 'picture_matters: {{severity: recommended}}' >> {healthy_run}/gates.yaml"
    assert command in text

    subprocess.run(["bash", "-c", command], check=True)
    text, _ = report(healthy_run)
    assert text.startswith("# 1k: NOT COMPLETE\n"), "told to go on, it can"


@pytest.mark.parametrize("every", [3, *(pytest.param(each, marks=pytest.mark.long) for each in (2, 7))])
def test_lines_that_are_missing_or_damaged(healthy_run, every):
    record = healthy_run / "record.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    damaged = [b"\x00\xff" + line[5:] if number % every == 0 else line for number, line in enumerate(lines)]
    record.write_bytes(b"".join(damaged))
    text, page = report(healthy_run)
    assert f"{len(lines[::every])} of {len(lines)} lines cannot be read" in text
    Page(page)


@pytest.mark.parametrize(
    "field",
    [
        *("before_clipping", "last_step", "time"),
        *(pytest.param(name, marks=pytest.mark.long) for name in ("episodes", "reward/progress", "environment")),
    ],
)
def test_events_without_a_field(healthy_run, field):
    """A record of another version: every event lacks the field."""
    record = healthy_run / "record.jsonl"
    events = [json.loads(line) for line in record.read_text().splitlines()]
    record.write_text("".join(json.dumps({k: v for k, v in e.items() if k != field}) + "\n" for e in events))
    text, page = report(healthy_run)
    for section in SECTIONS[2:]:
        assert section.split(":")[0].split(",")[0] in text
    Page(page)


def test_a_damaged_trace_costs_only_its_pictures(healthy_run):
    for path in (healthy_run / "evaluations").iterdir():
        path.write_bytes(b"not a picture")
    document = make_document(read_history(healthy_run))
    assert "map" not in {path.stem for path in (healthy_run / "figures").glob("*.svg")}
    assert document.verdict.text == "GO"


def test_the_command_names_the_file(healthy_run):
    command = [sys.executable, "-m", "td3_hpc", "report", str(healthy_run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"report: {healthy_run / 'report.md'}\n"), done.stderr


def test_a_page_of_a_long_run_stays_small(healthy_run, tmp_path):
    """As many intervals, episodes and evaluation cycles as a run of 1M steps writes: a short one's, again and again."""
    run_dir = tmp_path / "long"
    run_dir.mkdir()
    shutil.copy(healthy_run / "config.yaml", run_dir)
    first, *others = map(json.loads, (healthy_run / "record.jsonl").read_text().splitlines())
    repeated = [each for each in others if each["event"] in ("interval", "gradients", "episode", "evaluation")]
    lines = [first, *others]
    for number in range(1, 100):
        for event in repeated:
            moved = {
                key: event[key] + 1000 * number for key in ("step", "first_step", "last_step", "update") if key in event
            }
            lines.append(event | moved)
    (run_dir / "record.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text, page = report(run_dir)
    assert len(page) < 1_000_000, {path.name: path.stat().st_size for path in (run_dir / "figures").iterdir()}
    assert "cannot be drawn" not in text
