"""The drill of a lost node; that it is caught is in tests/drills/test_drills.py."""

import pytest

from td3_hpc.drills.node_lost import number_of


@pytest.mark.parametrize("node", ["n2", "n18400-2"])
def test_a_node_s_number_is_found_whatever_the_cluster_s_port(node):
    assert number_of(node) == "2"
