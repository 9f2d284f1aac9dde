"""Finished episodes in files."""

from td3_hpc.record import EpisodeSummary
from td3_hpc.training.evaluation.kept_episodes import EpisodeFiles

SUMMARY = EpisodeSummary(
    return_=1.5,
    length=10,
    route_completion=0.5,
    route_length_m=200.0,
    distance_m=100.0,
    mean_speed_kmh=20.0,
    collisions=0,
    lane_invasions=0,
    reward_components={"comfort": -0.5},
    end_reason="off_road",
    route=3,
)


def test_what_is_written_is_read_back(tmp_path):
    files = EpisodeFiles(tmp_path / "folder")
    assert files.read("random") == {}
    files.write("random", {3: SUMMARY, 1: SUMMARY})
    assert EpisodeFiles(tmp_path / "folder").read("random") == {3: SUMMARY, 1: SUMMARY}
    assert files.read("pure-pursuit") == {}
    assert [path for path in tmp_path.rglob("*") if "tmp" in path.name] == []


def test_a_damaged_file_keeps_nothing(tmp_path):
    files = EpisodeFiles(tmp_path)
    (tmp_path / "random.json").write_text('{"3": {"ret')
    assert files.read("random") == {}


def test_a_folder_that_cannot_be_written_keeps_nothing_and_stops_nobody(tmp_path):
    (tmp_path / "file").touch()
    files = EpisodeFiles(tmp_path / "file" / "folder")
    files.write("random", {0: SUMMARY})
    assert files.read("random") == {}
