"""Seamless random planes: the grain of wood, the clouds of marble, the folds of satin."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from generators.arrays import Plane

__all__ = ["TILE", "cloud"]

TILE = 512


@lru_cache(maxsize=96)
def cloud(
    seed: int, *, smooth: float, along_x: float = 1.0, along_y: float = 1.0, tile: int = TILE
) -> Plane:
    """Draw Gaussian noise with a power spectrum of f to the power of minus ``2 x smooth``.

    Args:
        seed: Which one.
        smooth: 0 is white noise, 1 is grainy, 2 is cloudy, 3 is billowy.
        along_x: Above 1 stretches the noise horizontally.
        along_y: Above 1 stretches it vertically.
        tile: Width and height; opposite edges join.

    Returns:
        tile x tile, mean 0, standard deviation 1; read-only, for it is shared.
    """
    rng = np.random.default_rng([seed, 77])
    spectrum = np.fft.rfft2(rng.standard_normal((tile, tile)))
    down = np.fft.fftfreq(tile)[:, None] * tile * along_y
    across = np.fft.rfftfreq(tile)[None, :] * tile * along_x
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    spectrum *= frequency**-smooth
    spectrum[0, 0] = 0.0
    plane = np.fft.irfft2(spectrum, s=(tile, tile))
    result: Plane = (plane / plane.std()).astype(np.float32)
    result.flags.writeable = False
    return result
