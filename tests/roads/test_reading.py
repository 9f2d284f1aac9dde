"""Files that cannot be read, or should not be, are refused in one line; encodings that XML knows are read."""

import re
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.roads import reading
from td3_hpc.roads.reading import parse_opendrive, read_opendrive
from tests.simulator.opendrive_text import Road, opendrive_text

STREET = opendrive_text([Road(0.0, 0.0, 0.0, 300.0)])
BOMB = "<!DOCTYPE x [" + '<!ENTITY a "aaaaaaaaaa">' + '<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">' + "]>"
REFUSED = {
    "cut off": (lambda text: text[: len(text) // 2], "not well-formed XML"),
    "not xml": (lambda text: "hello", "not well-formed XML"),
    "another format": (lambda text: "<html></html>", "root element is <html>"),
    "a document type": (lambda text: text.replace("<OpenDRIVE>", "<!DOCTYPE x><OpenDRIVE>"), "document type"),
    "entities": (
        lambda text: text.replace("<OpenDRIVE>", f"{BOMB}<OpenDRIVE>").replace("test", "&b;"),
        "document type",
    ),
    "an external entity": (
        lambda text: text.replace("<OpenDRIVE>", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><OpenDRIVE>'),
        "document type",
    ),
    "NUL": (lambda text: text + "\0", "NUL characters"),
    "deep": (lambda text: text.replace("<link/>", "<a>" * 5000 + "</a>" * 5000), "more than 40 deep"),
    "included": (lambda text: text.replace("<link/>", '<include file="/etc/passwd"/>'), "<include> of another file"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind: str):
    change, message = REFUSED[kind]
    with pytest.raises(BadInput, match=re.escape(message)) as caught:
        parse_opendrive(change(STREET), "town.xodr")
    assert str(caught.value).startswith("town.xodr: ")
    assert "\n" not in str(caught.value)


def test_too_many_elements(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "MAX_ELEMENTS", 10)
    with pytest.raises(BadInput, match="more than 10 elements"):
        parse_opendrive(STREET, "town.xodr")


def test_too_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(reading, "MAX_BYTES", 1 << 20)
    (tmp_path / "large.xodr").write_text(STREET + " " * (1 << 20))
    with pytest.raises(BadInput, match=r"large\.xodr: larger than 1 MiB"):
        read_opendrive(tmp_path / "large.xodr")


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "latin.xodr").write_bytes("<OpenDRIVE>Zürich</OpenDRIVE>".encode("latin-1"))
    with pytest.raises(BadInput, match=r"latin\.xodr: damaged, not UTF-8 text at byte 12"):
        read_opendrive(tmp_path / "latin.xodr")
    for name in ("missing.xodr", "."):
        with pytest.raises(BadInput, match="cannot be read"):
            read_opendrive(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings(tmp_path: Path, encoding: str):
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = f'<?xml version="1.0" encoding="{declared}"?><OpenDRIVE><header name="Zürich"/></OpenDRIVE>'
    (tmp_path / "town.xodr").write_bytes(text.encode(encoding))
    root = parse_opendrive(read_opendrive(tmp_path / "town.xodr"), "town.xodr")
    assert root[0].get("name") == "Zürich"


def test_an_encoding_that_is_none(tmp_path: Path):
    (tmp_path / "town.xodr").write_text('<?xml version="1.0" encoding="zlib"?><OpenDRIVE/>')
    assert read_opendrive(tmp_path / "town.xodr").endswith("<OpenDRIVE/>")
