"""From numpy's floats and integers to the Python integers that the statistics add up exactly."""

import numpy as np

__all__ = ["exact"]


def exact(values: np.ndarray) -> np.ndarray:
    """Return Python integers; sums over simulated users stay far below 2^53."""
    return np.rint(values).astype(np.int64).astype(object)
