"""A document as Markdown and as a self-contained HTML page."""

import base64
import html
import re
from collections.abc import Callable
from pathlib import Path

import jinja2
from markupsafe import Markup

from td3_hpc.durable import replace_file
from td3_hpc.errors import UserError
from td3_hpc.report.document import Cell, Chip, Document

MARKS = {"pass": "✅", "fail": "❌", "watch": "⚠️", "not_judged": "➖", "info": "ℹ️"}

_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]\[]+)\]\(([#\w./-]+)\)")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")


def to_markdown(document: Document) -> str:
    """The document as a Markdown text; its pictures are links into its directory."""
    text = _environment(autoescape=False).get_template("report.md.j2").render(document=document)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def to_html(document: Document) -> str:
    """The document as one page that needs no other file."""
    return _environment(autoescape=True).get_template("report.html.j2").render(document=document)


def write(make: Callable[[], Document], directory: Path) -> Path:
    """Make a document, and write it as report.md and report.html in a directory; returns the Markdown file's path.

    Raises UserError where the directory cannot be written.
    """
    try:
        document = make()
        replace_file(directory / "report.md", to_markdown(document).encode())
        replace_file(directory / "report.html", to_html(document).encode())
    except OSError as error:
        raise UserError(
            f"{directory}: the report cannot be written ({error.strerror}); `td3-hpc report` writes it once it can"
        ) from error
    return directory / "report.md"


def _environment(autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("td3_hpc.report"),
        undefined=jinja2.StrictUndefined,
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        inline=_inline,
        svg=_svg,
        picture=_picture,
        cell_md=_cell_md,
        text_md=_text_md,
        relative=_relative,
        chip=_is_chip,
    )
    return environment


# ---- HTML
def _inline(text: str) -> Markup:
    """Inline Markdown as HTML, everything else escaped."""
    escaped = html.escape(text)
    escaped = _CODE.sub(r"<code>\1</code>", escaped)
    escaped = _BOLD.sub(r"<strong>\1</strong>", escaped)
    return Markup(_LINK.sub(r'<a href="\2">\1</a>', escaped))


def _svg(name: str, run_dir: Path) -> Markup:
    """A figure to stand in the page, where its text takes the page's colour and font."""
    text = (run_dir / "figures" / f"{name}.svg").read_text(encoding="utf-8")
    start = text.index("<svg")
    return Markup(text[start:].replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1))


def _picture(path: Path) -> Markup:
    return Markup(f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}")


# ---- Markdown
def _text_md(text: str) -> str:
    return text.replace("<", "&lt;").replace("\n", " ")


def _cell_md(cell: Cell) -> str:
    if isinstance(cell, Chip):
        return f"{MARKS[cell.status]} {cell.text}"
    return _text_md(cell).replace("|", "\\|") if cell else " "


def _relative(path: Path, run_dir: Path) -> str:
    return str(path.relative_to(run_dir))


def _is_chip(cell: Cell) -> bool:
    return isinstance(cell, Chip)
