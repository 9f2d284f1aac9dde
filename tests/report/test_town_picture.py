"""A picture of a town: the same bytes for the same town, and where roads are, something is drawn."""

from pathlib import Path

import cv2
import pytest

from td3_hpc.config.environment import RouteConfig
from td3_hpc.driving.route import RoutePlanner
from td3_hpc.errors import BadInput
from td3_hpc.report.town_picture import draw_town
from td3_hpc.simulator.towns import load_town, parse_town
from tests.roads.small_roads import road, town


def test_hamlet_with_its_routes(tmp_path: Path):
    hamlet = load_town("Hamlet", None)
    routes = RoutePlanner("Hamlet", hamlet.map, RouteConfig()).evaluation_routes
    for name in ("one", "two"):
        draw_town(hamlet, routes, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    picture = cv2.imread(str(tmp_path / "one.png"))
    assert min(picture.shape[:2]) > 400
    assert 0.05 < (picture.min(axis=2) < 240).mean() < 0.6


def test_a_short_road_without_routes(tmp_path: Path):
    draw_town(parse_town("t", town(road(1, 12.5))), [], tmp_path / "t.svg")
    assert (tmp_path / "t.svg").read_text().rstrip().endswith("</svg>")


def test_other_suffixes(tmp_path: Path):
    with pytest.raises(BadInput, match=r"neither in \.png nor in \.svg"):
        draw_town(parse_town("t", town(road(1, 12.5))), [], tmp_path / "t.pdf")
