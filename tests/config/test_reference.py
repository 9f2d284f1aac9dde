from td3_hpc.config import StageConfig
from td3_hpc.config.reference import cluster_reference, configuration_reference, sections
from tests.paths import ROOT

DOCUMENT = ROOT / "docs" / "configuration.md"


def test_the_document_is_up_to_date():
    made = configuration_reference()
    assert DOCUMENT.read_text() == made, "run: python -m td3_hpc.config.reference > docs/configuration.md"


def test_the_document_of_cluster_profiles_is_up_to_date():
    document = DOCUMENT.with_name("cluster-profile.md")
    made = cluster_reference()
    assert document.read_text() == made, "run: python -m td3_hpc.config.reference cluster > docs/cluster-profile.md"
    assert "| `network` | `host` | `host` or `loopback` |" in made, "the container's keys are missing"


def test_every_key_stands_in_the_document_with_its_meaning():
    rows = [line for line in configuration_reference().splitlines() if line.startswith("| `")]
    keys = [name for _, section in sections(StageConfig) for name in section.model_fields]
    nested = {path.rpartition(".")[2] for path, _ in sections(StageConfig)}
    assert len(rows) == len([name for name in keys if name not in nested])
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 4, row
        assert all(cells), row


def test_rows_say_what_a_key_may_be():
    document = configuration_reference()
    for row in (
        "| `tau` | `0.005` | number, > 0, ≤ 1 |",
        "| `total_steps` | required | integer, ≥ 1 |",
        "| `kind` | `embedded` | `embedded` or `carla` or `external` |",
        "| `keep_every_steps` | `null` | integer, ≥ 1; or `null` |",
        "| `tensorboard` | `true` | `true` or `false` |",
        "| `hidden` | `[256, 256]` | list of integer, ≥ 1, at least 1 long |",
        "| `maps` | `null` | path; or `null` |",
    ):
        assert row in document
