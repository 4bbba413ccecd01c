"""Take in logs: land them, load what is sealed, and give a receipt that adds up."""

from __future__ import annotations

from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load.ingest import ingest
from abplatform.logs.load.receipt import Counts, Example, Receipt

__all__ = ["Counts", "Example", "ExperimentFacts", "Receipt", "ingest"]
