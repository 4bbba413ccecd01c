"""One-file HTML pages, and pictures inside them."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["embed_picture", "page", "plot_style"]


def embed_picture(pixels: Any, *, side: int = 240, quality: int = 82) -> str:
    """Return a small copy of a picture as a ``data:`` address for ``<img src>``.

    Args:
        pixels: uint8 array, height x width x 3.
        side: Longest side of the copy in px.
        quality: Of the lossy WebP, 1 … 100.
    """
    from PIL import Image

    image = Image.fromarray(pixels, "RGB") if not isinstance(pixels, Image.Image) else pixels
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def page(title: str, body: str) -> str:
    """Return a whole HTML page in one file.

    Args:
        title: For the window.
        body: HTML; the caller has escaped what comes from outside.
    """
    style = _read("page.css") + plot_style()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def plot_style() -> str:
    """Return the style of every plot, for a page that brings colours of its own."""
    return _read("plots.css")


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
