"""The published tables as a star for BI tools: declared once, written whole, told in docs."""

from abplatform.logs.store.star.declared import STAR
from abplatform.logs.store.star.rows import star_rows
from abplatform.logs.store.star.written import FORMATS, Form, export_star

__all__ = ["FORMATS", "STAR", "Form", "export_star", "star_rows"]
