"""What tests of configuration files need."""

import pytest
import yaml


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "stage.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write
