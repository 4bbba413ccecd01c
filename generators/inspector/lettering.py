"""Marks in a background that look like writing: image models like to paint letters.

Such letters say nothing, or something that nobody wrote.

Letters of a line are strokes much darker or lighter than their ground, about equally high, on one
base line and close to each other. So strokes are found by a top hat (lighter) and a black hat
(darker), cut into connected marks, and marks are joined into rows; the longest row counts. The
idea of joining like marks into lines is that of Epshtein, Ofek and Wexler, Detecting Text in
Natural Scenes with Stroke Width Transform (2010); what is joined here is simpler.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from generators.arrays import Plane

__all__ = ["lettering"]

STROKE = 7
"""Strokes are narrower than this, in pixels of a picture 256 pixels wide."""
CONTRAST = 14.0
"""Least difference between a stroke and its ground along one of CIELAB's axes."""
HEIGHTS = (4, 40)
"""Of a letter, in the same pixels."""
MOST_MARKS = 600
"""More marks than this are texture."""


@dataclass(frozen=True, slots=True)
class _Marks:
    """Connected marks: N of each.

    Args:
        top: First row.
        left: First column.
        height: In pixels.
        width: In pixels.
        filled: Share of the box that the mark covers.
    """

    top: Plane
    left: Plane
    height: Plane
    width: Plane
    filled: Plane


def lettering(lab: Plane, product: Plane) -> int:
    """Count the marks in the longest row that looks like writing.

    Args:
        lab: The picture's colours in CIELAB, height x width x 3, about 256 pixels wide.
        product: Where the product is; packages may bear words.

    Returns:
        How many marks stand in that row; 0 where there is none.
    """
    away = ~ndimage.binary_dilation(product, iterations=4)
    size = (STROKE, STROKE)
    longest = 0
    for channel in range(3):
        plane = lab[..., channel]
        lighter = plane - ndimage.grey_opening(plane, size=size)
        darker = ndimage.grey_closing(plane, size=size) - plane
        for hat in (lighter, darker):
            longest = max(longest, _longest_row(_find_marks((hat > CONTRAST) & away)))
    return longest


def _find_marks(strokes: Plane) -> _Marks:
    labels, count = ndimage.label(strokes, structure=np.ones((3, 3)))
    boxes = ndimage.find_objects(labels)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    edges = np.array(
        [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in boxes],
        dtype=np.int64,
    ).reshape(-1, 4)
    height, width = edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1]
    filled = areas / np.maximum(height * width, 1)
    fits = (height >= HEIGHTS[0]) & (height <= HEIGHTS[1]) & (width <= 2.5 * height)
    fits &= (filled > 0.15) & (filled < 0.95)
    return _Marks(edges[fits, 0], edges[fits, 1], height[fits], width[fits], filled[fits])


def _longest_row(marks: _Marks) -> int:
    count = len(marks.top)
    if count < 2 or count > MOST_MARKS:
        return 0
    middle, base = marks.left + marks.width / 2, marks.top + marks.height
    low = np.minimum(marks.height[:, None], marks.height)
    high = np.maximum(marks.height[:, None], marks.height)
    level = np.abs(base[:, None] - base) < 0.3 * low
    alike = high < 1.9 * low
    apart = np.abs(middle[:, None] - middle)
    gap = apart - (marks.width[:, None] + marks.width) / 2
    close = (gap > -0.2 * low) & (gap < 1.2 * high) & (apart > 0.25 * low)
    first, second = np.nonzero(level & alike & close)
    pairs = coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    _, row = connected_components(pairs, directed=False)
    return int(np.bincount(row).max())
