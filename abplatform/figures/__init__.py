"""Plain numbers and image bytes drawn as SVG, and one-file HTML pages around them.

A page needs no script, no network and no second file: styles are inline, pictures are embedded, and
its colours follow the reader's light or dark setting.
"""

from abplatform.figures.amounts import interval_text, percent, share
from abplatform.figures.course import CoursePoint, course_plot
from abplatform.figures.forest import ForestRow, Tone, forest_plot
from abplatform.figures.lines import Line, Mark, line_plot
from abplatform.figures.page import embed_picture, page, plot_style
from abplatform.figures.pieces import facts, notes, table

__all__ = [
    "CoursePoint",
    "ForestRow",
    "Line",
    "Mark",
    "Tone",
    "course_plot",
    "embed_picture",
    "facts",
    "forest_plot",
    "interval_text",
    "line_plot",
    "notes",
    "page",
    "percent",
    "plot_style",
    "share",
    "table",
]
