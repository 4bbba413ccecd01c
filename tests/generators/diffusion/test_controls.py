import numpy as np
from scipy import ndimage

from generators.renderers.diffusion.controls import find_edges, repaint_mask


def test_a_disc_has_one_thin_closed_outline():
    """The outline of a disc is a closed ring, about a pixel wide, on its rim and nowhere else."""
    y, x = np.mgrid[0:96, 0:96]
    far = np.hypot(y - 48, x - 48)
    rgb = np.repeat(np.where(far < 30, 220, 60).astype(np.uint8)[..., None], 3, axis=2)
    edges = find_edges(rgb)
    found = edges[..., 0] == 255
    assert (np.abs(far[found] - 30) < 2).all()
    assert 0.8 < found.sum() / (2 * np.pi * 30) < 1.4
    # filling the ring reaches the middle only where it has no gap
    assert ndimage.binary_fill_holes(found)[48, 48]
    assert np.array_equal(edges[..., 0], edges[..., 2])


def test_weak_lines_count_only_where_they_go_on_from_strong_ones():
    """A faint step alone is no outline; the same step as the end of a strong one is."""
    faint = np.full((64, 64, 3), 100, np.uint8)
    faint[:, 32:] = 160
    assert not find_edges(faint).any()
    joined = faint.copy()
    joined[:20, 32:] = 255
    assert find_edges(joined)[50, 30:34].any()


def test_evenly_coloured_ground_has_no_outlines():
    """Neither a flat picture nor a slow gradient has edges."""
    assert not find_edges(np.full((64, 64, 3), 128, np.uint8)).any()
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    assert not find_edges(np.repeat(np.tile(ramp, (64, 1))[..., None], 3, axis=2)).any()


def test_painting_reaches_a_rim_into_the_product():
    """The mask is what the product leaves free, and as many pixels of it as asked."""
    alpha = np.zeros((32, 32), np.uint8)
    alpha[8:24, 8:24] = 255
    for reach in (0, 1, 3):
        kept = repaint_mask(alpha, reach=reach) == 0
        assert kept.sum() == (16 - 2 * reach) ** 2
        assert kept[8 + reach, 8 + reach]
