"""The faults that the demo plants, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from abplatform.cli.demo_facts import DemoWeek
from abplatform.cli.demo_story import Fault

if TYPE_CHECKING:
    from generators.inspector import Inspection
    from generators.intake import ReadyProduct

__all__ = ["LOST", "gather_faults", "show_other_product"]

LOST = 0.08
"""Share of one variant's users whose assignments the second experiment's log loses in week 1."""


def show_other_product(
    ready: Sequence[ReadyProduct], *, seed: int
) -> tuple[Inspection, ReadyProduct, ReadyProduct]:
    """Draw a scene around the wrong product and let the inspector see it.

    Returns:
        What the inspector says, the product that was meant and the one that was shown.
    """
    from generators.inspector import inspect
    from generators.renderers.studio import Studio

    meant, shown = ready[0], ready[len(ready) // 2]
    return inspect(Studio().render(shown, None, seed=seed), meant), meant, shown


def gather_faults(weeks: Sequence[DemoWeek], inspection: Inspection) -> list[Fault]:
    """Return every planted fault with where it was caught, as measured.

    Args:
        weeks: Of the demo, in order.
        inspection: Of the planted picture of another product.
    """
    first = weeks[0]
    planted = [week.results["serve"]["planted"] for week in weeks]
    receipts = [week.results["ingest"]["totals"] for week in weeks]
    left = weeks[-1].results["ingest"]["left_over"]
    srm = first.shop["srm"]
    bots, copies, orphans = (
        sum(one[name] for one in planted) for name in ("bots", "redelivered", "orphans")
    )
    late = sum(one["late"] for one in planted)
    accepted = receipts[-1]["accepted"]
    unique = sum(one["lines"] - one["redelivered"] for one in planted)
    p_value = "no p" if srm["p_value"] is None else f"p = {srm['p_value']:.1g}"
    return [
        Fault(
            "a log that loses users",
            f"{LOST:.0%} of one variant",
            "sample ratio check",
            f"{p_value}, verdict {first.shop['verdict']['verdict']}",
            srm["verdict"] == "alarm",
        ),
        Fault(
            "bot swarm",
            f"{bots} bots",
            "pace and user agent",
            f"{left['bot_units']} users left out",
            left["bot_units"] == bots,
        ),
        Fault(
            "events delivered twice",
            f"{copies:,} lines",
            "event ids",
            f"{receipts[-1]['duplicate']:,} duplicates",
            receipts[-1]["duplicate"] == copies,
        ),
        Fault(
            "events up to two days late",
            f"{late:,} events",
            "verdict on final rows only",
            "all counted" if accepted == unique else f"{unique - accepted:,} not counted",
            accepted == unique,
        ),
        Fault(
            "clicks without impression",
            f"{orphans:,} clicks",
            "kept as orphans",
            f"{left['orphan_clicks']:,} wait",
            left["orphan_clicks"] == orphans,
        ),
        Fault(
            "picture of another product",
            "1 creative",
            "inspector",
            f"refused: {', '.join(inspection.reasons)}",
            not inspection.usable,
        ),
    ]
