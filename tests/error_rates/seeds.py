"""Every seed of the error-rate studies, in one place.

They were chosen once, before any result was seen, and are never changed to make a bound hold: a
bound that fails with these seeds is a finding.
"""

import hashlib

import numpy as np

__all__ = ["ROOT", "generator"]

ROOT = 20_261_122
"""The one number all streams come from."""


def generator(study: str, *parts: str | float) -> np.random.Generator:
    """Return the stream of one part of a study; other parts never shift it.

    Args:
        study: Name of the study.
        parts: What tells this stream from the study's others.
    """
    name = "/".join([study, *(str(part) for part in parts)])
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([ROOT, int.from_bytes(digest[:8], "big")])
