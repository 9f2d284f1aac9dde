from pathlib import Path

from td3_hpc.record.reference import record_reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "record.md"


def test_the_page_is_what_the_schema_says():
    made = record_reference()
    assert DOCUMENT.read_text() == made, "run: python -m td3_hpc.record.reference > docs/record.md"
