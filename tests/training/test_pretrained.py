"""The file of an encoder: read back as it was written, and refused where it is of another."""

import numpy as np
import pytest

from td3_hpc.config import AgentConfig
from td3_hpc.errors import BadInput
from td3_hpc.training.pretrained import EncoderFile, read_encoder, weights_for, write_encoder

WEIGHTS = {"readout.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "readout.bias": np.zeros(2, np.float32)}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "distances.h5"
    write_encoder(path, EncoderFile("distances", WEIGHTS, "name: see\n", {"obstacle: seen": 0.75}))
    return path


def test_it_is_read_back_as_it_was_written(file):
    content = read_encoder(file)
    assert (content.encoder, content.config, content.figures) == ("distances", "name: see\n", {"obstacle: seen": 0.75})
    assert {name: array.tolist() for name, array in content.weights.items()} == {
        name: array.tolist() for name, array in WEIGHTS.items()
    }


def test_weights_of_another_encoder_are_refused(file):
    assert weights_for(AgentConfig(encoder="distances", pretrained=file)).keys() == WEIGHTS.keys()
    with pytest.raises(BadInput, match=r"of encoder distances, and agent\.encoder is steady; set agent\.encoder to"):
        weights_for(AgentConfig(encoder="steady", pretrained=file))


def test_a_damaged_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BadInput, match="not a pre-trained encoder, or damaged"):
        read_encoder(file)
