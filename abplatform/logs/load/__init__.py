"""Take in logs: land them, load what is sealed, and give a receipt that adds up."""

from __future__ import annotations

from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load.backfill import Backfill, backfill
from abplatform.logs.load.corrections import Change, Correction, Judge
from abplatform.logs.load.declared import declared_experiments
from abplatform.logs.load.ingest import ingest
from abplatform.logs.load.ledger import check_identities
from abplatform.logs.load.lost import is_lost
from abplatform.logs.load.receipt import Counts, Example, Receipt
from abplatform.logs.load.trial import Trial, try_file

__all__ = [
    "Backfill",
    "Change",
    "Correction",
    "Counts",
    "Example",
    "ExperimentFacts",
    "Judge",
    "Receipt",
    "Trial",
    "backfill",
    "check_identities",
    "declared_experiments",
    "ingest",
    "is_lost",
    "try_file",
]
