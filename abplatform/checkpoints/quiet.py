"""Transformers without its chatter: bars for moments of loading, advice to its own developers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils import logging as untyped

logging: Any = untyped
__all__ = ["quietly"]


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from telling what is as it should be; its errors are still told."""
    loud, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(loud)
        if bars:
            logging.enable_progress_bar()
