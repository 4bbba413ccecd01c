"""What one experiment says: published tables → what the Scorecard page shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import polars as pl

from abplatform.logs.store.published import Published
from dashboards.home_view import Light, srm_light
from dashboards.number_words import Shown, count, interval, lift, p_value, plain, rate

__all__ = [
    "Duel",
    "Headline",
    "LiftRow",
    "Prediction",
    "ScorecardView",
    "Side",
    "daily_rates",
    "experiment_keys",
    "scorecard_view",
]

_UNITS = {"user_id": "users", "request_id": "requests", "product_id": "products"}
_GAPS = {"not_built", "plan_not_built"}
_NO_SCORECARD = "no traffic has been analysed yet"


@dataclass(frozen=True, slots=True)
class LiftRow:
    """One line of the forest plot and of the table of lifts.

    Args:
        label: The slice, ``All categories`` for the whole.
        lift: Relative lift, or None.
        low: Its interval's lower end, or None where open or unknown.
        high: Its interval's upper end, or None where open or unknown.
        significant: Whether the experiment's test rejects; None when it cannot be computed.
        why: Why there is no lift; None when there is one.
        verdict: What the rules say of this slice, or None where they are not asked.
        verdict_reason: What that rests on; empty without a verdict.
        cells: Column heading to what is shown in it.
    """

    label: str
    lift: float | None
    low: float | None
    high: float | None
    significant: bool | None
    why: str | None
    verdict: str | None
    verdict_reason: str
    cells: Mapping[str, Shown]


@dataclass(frozen=True, slots=True)
class Headline:
    """One of the large numbers on top.

    Args:
        label: What it is.
        shown: The number.
        note: What stands under it.
    """

    label: str
    shown: Shown
    note: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of two compared creatives.

    Args:
        creative_id: sha256 of its master.
        source: ``baseline`` or ``generated``, or None if unknown.
        picture: Its path relative to the workspace, or None.
        text: Its ad text, or None.
        ctr: Its click-through rate.
        impressions: How often it was seen.
        predicted: The reward model's score before the experiment, or None.
    """

    creative_id: str
    source: str | None
    picture: str | None
    text: str | None
    ctr: Shown
    impressions: Shown
    predicted: float | None


@dataclass(frozen=True, slots=True)
class Duel:
    """Two creatives of one product, the better one first.

    Args:
        title: The product.
        category: Its category.
        winner: The creative with the higher CTR.
        loser: The other one.
        p_win: Probability that the winner's true CTR is the higher one.
    """

    title: str
    category: str
    winner: Side
    loser: Side
    p_win: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Whether the reward model foresaw the winners.

    Args:
        pairs: Compared pairs with two different scores.
        agreed: Pairs in which the higher score won.
        accuracy: ``agreed`` of ``pairs``, or why there is none.
        ceiling: What a perfect model would reach, because clicks are noisy.
    """

    pairs: int
    agreed: int
    accuracy: Shown
    ceiling: Shown


@dataclass(frozen=True, slots=True)
class ScorecardView:
    """Everything that the Scorecard page shows of one contrast.

    Args:
        key: The experiment.
        hypothesis: As in its YAML, or None.
        owner: As in its YAML, or None.
        state: Where it stands.
        verdict: What it says, or None before the first scorecard.
        sentence: The verdict in one sentence.
        reasons: What the verdict rests on.
        status: ``final`` or ``provisional``, or None before the first scorecard.
        as_of: Until when events count, or None.
        data_version: What the numbers were computed from, or None.
        srm: The sample-ratio light.
        split: Variant to units seen and units planned, as a sentence; empty when unknown.
        warnings: Sentences.
        gaps: Sentences on what is not computed at all, whatever the data.
        treatments: Every contrast that can be chosen.
        treatment: The contrast that is shown, or None before the first scorecard.
        control: What it is compared with.
        metric: The primary metric.
        headlines: The large numbers.
        lifts: Primary metric: the whole first, then each category.
        p_note: What the categories' p-values are.
        others: Every other metric, over all categories.
        breakdowns: Dimension to its slices, for the dimensions other than category.
        duels: Winning and losing creatives, the surest first.
        prediction: Predicted against realised.
    """

    key: str
    hypothesis: str | None
    owner: str | None
    state: str
    verdict: str | None
    sentence: str
    reasons: tuple[str, ...]
    status: str | None
    as_of: datetime | None
    data_version: str | None
    srm: Light
    split: str
    warnings: tuple[str, ...]
    gaps: tuple[str, ...]
    treatments: tuple[str, ...]
    treatment: str | None
    control: str
    metric: str
    headlines: tuple[Headline, ...]
    lifts: tuple[LiftRow, ...]
    p_note: str
    others: tuple[LiftRow, ...]
    breakdowns: Mapping[str, tuple[LiftRow, ...]]
    duels: tuple[Duel, ...]
    prediction: Prediction


def experiment_keys(published: Published) -> list[str]:
    """Return every experiment, those with a scorecard first, the latest start first."""
    analysed = published.table("scorecards").get_column("experiment").implode()
    rows = published.table("experiments").with_columns(
        analysed=pl.col("key").is_in(analysed), at=pl.col("started_at")
    )
    ordered = rows.sort(
        "analysed", "at", "key", descending=[True, True, False], nulls_last=[True, True, True]
    )
    return ordered.get_column("key").to_list()


def scorecard_view(
    published: Published, key: str, *, treatment: str | None = None, most_duels: int = 6
) -> ScorecardView:
    """Gather the Scorecard page.

    Args:
        published: The current version.
        key: The experiment; one of :func:`experiment_keys`.
        treatment: The contrast; default the first one.
        most_duels: How many pairs of pictures at most.
    """
    facts = _only(published, "experiments", key=key)[0]
    scorecard = next(iter(_only(published, "scorecards", experiment=key)), None)
    rows = _only(published, "lifts", experiment=key)
    treatments = tuple(dict.fromkeys(row["treatment"] for row in rows))
    chosen = treatment if treatment in treatments else next(iter(treatments), None)
    contrast = [row for row in rows if row["treatment"] == chosen]
    metric = facts["primary_metric"]
    primary = [row for row in contrast if row["metric"] == metric]
    creatives = {row["creative_id"]: row for row in _only(published, "creatives", experiment=key)}
    pairs = _only(published, "pairs", experiment=key)
    shown = scorecard or {}
    detail = json.loads(shown.get("scorecard") or "{}")
    notes = detail.get("warnings") or []
    return ScorecardView(
        key=key,
        hypothesis=facts["hypothesis"],
        owner=facts["owner"],
        state=facts["state"],
        verdict=shown.get("verdict"),
        sentence=shown.get("sentence") or f"No verdict yet: {_NO_SCORECARD}.",
        reasons=tuple(shown.get("reasons") or ()),
        status=shown.get("status"),
        as_of=shown.get("as_of"),
        data_version=shown.get("data_version"),
        srm=srm_light(scorecard, key),
        split=_split(detail.get("srm") or {}),
        warnings=tuple(note["message"] for note in notes if note["code"] not in _GAPS),
        gaps=tuple(note["message"] for note in notes if note["code"] in _GAPS),
        treatments=treatments,
        treatment=chosen,
        control=facts["control"],
        metric=metric,
        headlines=_headlines(primary, scorecard, facts["unit"]),
        lifts=_by_category(primary, _rulings(detail, chosen)),
        p_note=_p_note(primary),
        others=_other_metrics(contrast, metric),
        breakdowns=_breakdowns(primary),
        duels=tuple(_duels(pairs, creatives, most=most_duels)),
        prediction=_prediction(pairs, creatives),
    )


def daily_rates(published: Published, key: str) -> pd.DataFrame:
    """Return CTR by day and variant over all categories.

    Returns:
        Columns ``day``, ``variant``, ``impressions``, ``clicks``, ``ctr``; a day without
        impressions is left out.
    """
    rows = published.table("daily").filter(
        (pl.col("experiment") == key) & pl.col("category").is_null() & (pl.col("impressions") > 0)
    )
    frame = rows.select("day", "variant", "impressions", "clicks").to_pandas()
    frame["ctr"] = frame["clicks"] / frame["impressions"]
    return frame.sort_values(["day", "variant"], ignore_index=True)


def _only(published: Published, table: str, **where: str) -> list[dict[str, Any]]:
    return published.table(table).filter(**where).to_dicts()


def _headlines(
    primary: Sequence[Mapping[str, Any]], scorecard: Mapping[str, Any] | None, unit: str
) -> tuple[Headline, ...]:
    row = next((row for row in primary if _is_whole(row)), None)
    if row is None:
        return ()
    why = row["undetermined"]
    name = row["metric"].upper()
    return (
        Headline(
            f"Lift of {name}",
            lift(row["relative_lift"], why),
            interval(row["ci_low"], row["ci_high"], why).text,
        ),
        Headline(
            f"{name} of {row['control']}", rate(row["rate_control"], why), _of(row, "control")
        ),
        Headline(
            f"{name} of {row['treatment']}", rate(row["rate_treatment"], why), _of(row, "treatment")
        ),
        Headline("p-value", p_value(row["p_value"], row["log10_p"], why), _test_note(row)),
        Headline("Units", count(scorecard["units"] if scorecard else None), _UNITS.get(unit, unit)),
    )


def _of(row: Mapping[str, Any], side: str) -> str:
    return f"{count(row[f'k_{side}']).text} of {count(row[f'n_{side}']).text}"


def _test_note(row: Mapping[str, Any]) -> str:
    if row["significant"] is None:
        return "test not available"
    return "significant" if row["significant"] else "not significant"


def _is_whole(row: Mapping[str, Any]) -> bool:
    return row["category"] is None and row["breakdown"] is None


def _by_category(
    primary: Iterable[Mapping[str, Any]], rulings: Mapping[str, Mapping[str, Any]]
) -> tuple[LiftRow, ...]:
    rows = list(primary)
    whole = [_lift_row(row, "All categories") for row in rows if _is_whole(row)]
    slices = sorted(
        (row for row in rows if row["breakdown"] == "category"), key=lambda row: row["category"]
    )
    return (
        *whole,
        *(_lift_row(row, row["category"], rulings.get(row["category"])) for row in slices),
    )


def _rulings(detail: Mapping[str, Any], treatment: str | None) -> dict[str, Mapping[str, Any]]:
    """Return category to what the verdict's rules say of it for one treatment."""
    rows = (detail.get("verdict") or {}).get("by_category") or []
    return {row["category"]: row for row in rows if row["treatment"] == treatment}


def _p_note(primary: Iterable[Mapping[str, Any]]) -> str:
    slices = [row for row in primary if row["breakdown"] == "category"]
    computed = [row for row in slices if row["p_value"] is not None]
    if not computed:
        return ""
    if all(row["p_adjusted"] is not None for row in computed):
        return "p of a category is adjusted for the number of categories."
    return "p of a category is not adjusted yet, so it decides nothing."


def _split(srm: Mapping[str, Any]) -> str:
    observed, expected = srm.get("observed") or {}, srm.get("expected") or {}
    return ", ".join(
        f"{variant} {number:,} of {expected[variant]:,.0f} planned"
        for variant, number in observed.items()
        if expected.get(variant) is not None
    )


def _breakdowns(primary: Iterable[Mapping[str, Any]]) -> dict[str, tuple[LiftRow, ...]]:
    found: dict[str, tuple[LiftRow, ...]] = {}
    for row in primary:
        if row["breakdown"] not in (None, "category"):
            added = _lift_row(row, row["level"] or "unknown")
            found[row["breakdown"]] = (*found.get(row["breakdown"], ()), added)
    return found


def _other_metrics(contrast: Iterable[Mapping[str, Any]], primary: str) -> tuple[LiftRow, ...]:
    return tuple(
        _lift_row(row, row["metric"])
        for row in contrast
        if row["metric"] != primary and _is_whole(row)
    )


def _lift_row(
    row: Mapping[str, Any], label: str, ruling: Mapping[str, Any] | None = None
) -> LiftRow:
    why = row["undetermined"]
    return LiftRow(
        label=label,
        lift=row["relative_lift"],
        low=row["ci_low"],
        high=row["ci_high"],
        significant=row["significant"],
        why=plain(why) if why else None,
        verdict=ruling["verdict"] if ruling else None,
        verdict_reason=ruling.get("reason") or "" if ruling else "",
        cells={
            row["control"]: rate(row["rate_control"], why),
            row["treatment"]: rate(row["rate_treatment"], why),
            "Lift": lift(row["relative_lift"], why),
            "Interval": interval(row["ci_low"], row["ci_high"], why),
            "p": _adjusted(row, why),
            "Units": count(_sum(row["units_control"], row["units_treatment"]), why),
        },
    )


def _adjusted(row: Mapping[str, Any], why: str | None) -> Shown:
    """Return the p-value that counts: a slice's is adjusted for the number of slices."""
    if row["p_adjusted"] is not None:
        return p_value(row["p_adjusted"])
    return p_value(row["p_value"], row["log10_p"], why)


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _duels(
    pairs: Iterable[Mapping[str, Any]], creatives: Mapping[str, Mapping[str, Any]], *, most: int
) -> Iterable[Duel]:
    """One duel a product, the surest first."""
    seen: set[str] = set()
    for pair in sorted(pairs, key=lambda row: (-row["p_win"], row["pair_id"])):
        if pair["product_id"] in seen or len(seen) >= most:
            continue
        seen.add(pair["product_id"])
        winner, loser = (_side(pair, side, creatives) for side in ("chosen", "rejected"))
        yield Duel(pair["title"], pair["category"], winner, loser, pair["p_win"])


def _side(pair: Mapping[str, Any], side: str, creatives: Mapping[str, Mapping[str, Any]]) -> Side:
    creative = creatives.get(pair[f"{side}_creative"], {})
    clicks, impressions = pair[f"clicks_{side}"], pair[f"impressions_{side}"]
    return Side(
        creative_id=pair[f"{side}_creative"],
        source=creative.get("source"),
        picture=creative.get("picture"),
        text=pair[f"{side}_text"],
        ctr=rate(clicks / impressions if impressions else None, "no impressions"),
        impressions=count(impressions),
        predicted=creative.get("predicted"),
    )


def _prediction(
    pairs: Sequence[Mapping[str, Any]], creatives: Mapping[str, Mapping[str, Any]]
) -> Prediction:
    judged = []
    for pair in pairs:
        better, worse = (
            creatives.get(pair[f"{side}_creative"], {}).get("predicted")
            for side in ("chosen", "rejected")
        )
        if better is not None and worse is not None and better != worse:
            judged.append((better > worse, max(pair["p_win"], 1 - pair["p_win"])))
    agreed = sum(right for right, _ in judged)
    if not judged:
        why = (
            "no reward model had scored these creatives before they ran"
            if pairs
            else "no creatives of one product have been compared yet"
        )
        return Prediction(0, 0, Shown.missing(why), Shown.missing(why))
    return Prediction(
        pairs=len(judged),
        agreed=agreed,
        accuracy=Shown(f"{agreed / len(judged):.0%}"),
        ceiling=Shown(f"{sum(sure for _, sure in judged) / len(judged):.0%}"),
    )
