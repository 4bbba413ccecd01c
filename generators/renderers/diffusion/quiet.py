"""Diffusers, and transformers under it, without their chatter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from diffusers.utils import logging

from abplatform.checkpoints import quiet

__all__ = ["quietly"]


@contextmanager
def quietly() -> Iterator[None]:
    """Keep diffusers from telling what is as it should be: bars, a small autoencoder's class."""
    loud = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with quiet.quietly(), warnings.catch_warnings():
            # its schedulers hand tensors to numpy in a way that numpy 2 has given up
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            yield
    finally:
        logging.set_verbosity(loud)
        logging.enable_progress_bar()
