"""Reading OpenDRIVE text that anybody may have written: limits, encodings, XML."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from td3_hpc.errors import BadInput

MAX_BYTES = 64 * 2**20
MAX_ELEMENTS = 2_000_000
MAX_DEPTH = 40
"""Elements within elements; OpenDRIVE needs a dozen."""

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = re.compile(r"utf-?(8|16)|us-ascii|ascii|latin|iso-?8859|windows-125|cp125|gb|big5|shift|euc", re.I)


def read_opendrive(path: Path) -> str:
    """The text of an OpenDRIVE file. Raises BadInput naming the file and the reason where it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path}: larger than {MAX_BYTES >> 20} MiB; cut out the roads that are needed")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    encoding = _encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8-sig" else encoding
        raise BadInput(f"{path}: damaged, not {name} text at byte {error.start}; save it as UTF-8") from None
    except LookupError:
        raise BadInput(f"{path}: its encoding {encoding} is not known; save it as UTF-8") from None


def _encoding(data: bytes) -> str:
    """As the text's first bytes say; UTF-8 where they say nothing that could be meant."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    declared = _DECLARED.match(data)
    name = declared.group(1).decode() if declared else ""
    return "utf-8-sig" if name.lower() in ("utf-8", "utf8") or not _ENCODINGS.match(name) else name


def parse_opendrive(text: str, source: str) -> ET.Element:
    """The root element of OpenDRIVE text.

    Raises BadInput, naming `source` and what is wrong: too large, entities, other files included, no XML, another
    format.
    """
    if len(text) > MAX_BYTES:
        raise BadInput(f"{source}: larger than {MAX_BYTES >> 20} MiB; cut out the roads that are needed")
    if "<!DOCTYPE" in text or "<!ENTITY" in text or "\0" in text:
        raise BadInput(f"{source}: document type declarations and NUL characters are not allowed; delete them")
    if text.count("<") > 2 * MAX_ELEMENTS:
        raise BadInput(f"{source}: more than {MAX_ELEMENTS} elements; cut out the roads that are needed")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise BadInput(f"{source}: damaged, not well-formed XML ({error}); write the file anew") from None
    if _local(root.tag) != "OpenDRIVE":
        raise BadInput(f"{source}: not OpenDRIVE, its root element is <{_local(root.tag)[:40]}>")
    if _too_deep(root):
        raise BadInput(f"{source}: elements within elements, more than {MAX_DEPTH} deep; no OpenDRIVE needs them")
    if any(_local(element.tag) == "include" for element in root.iter()):
        raise BadInput(f"{source}: <include> of another file is not followed; put that file's content in its place")
    return root


def _local(tag: str) -> str:
    """A tag without its namespace."""
    return tag.rpartition("}")[2]


def _too_deep(root: ET.Element) -> bool:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True
