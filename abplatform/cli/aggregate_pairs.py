"""``abp pairs --from-aggregates``: a table of past tests becomes preference pairs.

Nothing of it is kept but the pairs: the table is taken in by a workspace that lasts for the call.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform.cli.options import progress
from abplatform.errors import IngestError
from abplatform.workspace import SETTINGS_FILE, open_workspace

if TYPE_CHECKING:
    import polars as pl

    from abplatform.logs.landing import MappingText

__all__ = ["PastPairs", "Weeks", "WeeksType", "pairs_of_past_tests"]

_WEEK = r"[0-9]{4}-W(?:0[1-9]|[1-4][0-9]|5[0-3])"
_WEEKS = re.compile(rf"({_WEEK})(?:\.\.({_WEEK}))?")

Weeks = tuple[str, str]
"""First and last ISO week, both within."""


class WeeksType(click.ParamType[Weeks]):
    """Reads ``2013-W25`` or ``2013-W25..2014-W02``."""

    name = "weeks"

    def convert(
        self, value: str | Weeks, param: click.Parameter | None, ctx: click.Context | None
    ) -> Weeks:
        """Return first and last week."""
        if isinstance(value, tuple):
            return value
        found = _WEEKS.fullmatch(value)
        if found is None or (found[2] or found[1]) < found[1]:
            self.fail(f"{value!r} is no week such as 2013-W25 or 2013-W25..2014-W02", param, ctx)
        return found[1], found[2] or found[1]


@dataclass(frozen=True, slots=True)
class PastPairs:
    """What a table of past tests taught.

    Args:
        frame: The pairs, with the columns of ``PAIR_SCHEMA``.
        tests: Tests in the table that have two variants or more.
        broken: Of these, how many are left out because their split is broken.
        left_out: Of these, how many ran in weeks that were left out.
        quarantined: Rows that could not be read.
    """

    frame: pl.DataFrame
    tests: int
    broken: int
    left_out: int
    quarantined: int


def pairs_of_past_tests(
    table: Path, mapping: MappingText, *, leave_out: Sequence[Weeks] = ()
) -> PastPairs:
    """Take a table of aggregates in, judge every test's split, and pair its creatives.

    Args:
        table: CSV or Parquet, one row a variant.
        mapping: Says what its columns mean; creatives of one ``product_id`` are compared.
        leave_out: Weeks whose tests teach nothing.

    Raises:
        IngestError: No test came out of the table.
    """
    from abplatform.analysis.pairs import preference_pairs_many, week_of
    from abplatform.analysis.scorecard import Run
    from abplatform.analysis.verdict import analyze_many
    from abplatform.cli.logs import experiment_facts
    from abplatform.logs.load import ingest
    from abplatform.logs.load.declared import declared_experiments
    from abplatform.logs.store.warehouse import Warehouse

    with tempfile.TemporaryDirectory(prefix="abp-pairs-") as place:
        (Path(place) / SETTINGS_FILE).write_text("time_zone: UTC\n")
        workspace = open_workspace(place)
        with progress("ingest") as advance:
            receipt = ingest(
                workspace,
                experiment_facts(workspace),
                files=[table],
                mapping=mapping,
                source="past-tests",
                advance=advance,
            )
        zone, run = workspace.settings.time_zone, Run(now=workspace.clock())
        with Warehouse.open(workspace) as warehouse:
            tests = declared_experiments(warehouse)
            if not tests:
                raise IngestError(
                    "no test with two variants came out of this table",
                    path=table,
                    remedy="see what the mapping makes of it with `abp ingest --dry-run`",
                )
            with progress("judge the splits") as advance:
                cards = list(
                    analyze_many(warehouse, tests, runs=lambda _: run, zone=zone, advance=advance)
                )
            weeks = {card.experiment: week_of(card, zone) for card in cards}
            old = {
                key
                for key, week in weeks.items()
                if any(first <= week <= last for first, last in leave_out)
            }
            broken = {card.experiment for card in cards if card.srm.verdict == "alarm"} - old
            frame = preference_pairs_many(
                warehouse, tests, week_of=weeks.__getitem__, skip=[*old, *broken], zone=zone
            )
    return PastPairs(frame, len(tests), len(broken), len(old), receipt.counts.quarantined)
