"""What runs and how healthy the data is: published tables → what the Home page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import polars as pl

from abplatform.domain.experiment import State
from abplatform.figures import share
from abplatform.logs.store.published import Published
from dashboards.number_words import Shown, age, interval, lift, p_value, plain

__all__ = [
    "FRESH",
    "QUARANTINE_ALARM",
    "QUARANTINE_WATCH",
    "STALE",
    "ExperimentCard",
    "Light",
    "Overview",
    "SourceHealth",
    "clarity",
    "overview",
    "srm_light",
]

Level = Literal["ok", "watch", "alarm", "idle"]

QUARANTINE_WATCH = 0.01
"""Share of received events in quarantine from which a source deserves a look."""
QUARANTINE_ALARM = 0.05
"""Share of received events in quarantine from which a source is not to be trusted."""
FRESH = timedelta(hours=26)
"""A daily load plus two hours of slack."""
STALE = timedelta(days=3)
"""From here on, verdicts wait for data that no longer comes."""

_ORDER: dict[str, int] = {
    State.RUNNING: 0,
    State.PAUSED: 1,
    State.STOPPED: 2,
    State.DECIDED: 3,
    State.DRAFT: 4,
}
_CLEAREST = ("ship", "reject", "no_difference", "invalid", "continue", None)
_UNCLEAR = (len(_CLEAREST), 0)


@dataclass(frozen=True, slots=True)
class Light:
    """One health sign: a level, what it is about and what was seen.

    Args:
        level: ``ok``, ``watch``, ``alarm``, or ``idle`` where nothing is expected.
        label: What it is about.
        detail: What was seen, as a short sentence.
    """

    level: Level
    label: str
    detail: str


@dataclass(frozen=True, slots=True)
class ExperimentCard:
    """An experiment at a glance.

    Args:
        key: The experiment.
        state: Where it stands.
        verdict: What it says, or None before the first scorecard.
        sentence: The verdict in one sentence, or why there is none yet.
        hypothesis: As in its YAML, or None.
        owner: As in its YAML, or None.
        metric: The primary metric.
        lift: Its overall relative lift, of the first treatment.
        interval: The lift's interval.
        srm: The sample-ratio light.
        started_at: When it started, or None.
        ended_at: When it ended, or None.
        external: Whether its units were assigned elsewhere.
    """

    key: str
    state: str
    verdict: str | None
    sentence: str
    hypothesis: str | None
    owner: str | None
    metric: str
    lift: Shown
    interval: Shown
    srm: Light
    started_at: datetime | None
    ended_at: datetime | None
    external: bool


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One log source.

    Args:
        source: Its name.
        watermark: Until when its events are complete, or None before the first load.
        freshness: Whether it still delivers.
        quarantine: Whether its lines are understood.
        balance: Whether every received event is accounted for.
        counts: Fate to events: received, accepted, quarantined and so on.
        reasons: Quarantine reason to events, most frequent first.
    """

    source: str
    watermark: datetime | None
    freshness: Light
    quarantine: Light
    balance: Light
    counts: Mapping[str, int]
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the Home page shows.

    Args:
        experiments: What runs first, then the latest start, then the clearest verdict.
        sources: By name.
        concerns: Every light that is not in order, alarms first.
        states: State to number of experiments.
        creatives: How many creatives have been shown.
    """

    experiments: tuple[ExperimentCard, ...]
    sources: tuple[SourceHealth, ...]
    concerns: tuple[Light, ...]
    states: Mapping[str, int]
    creatives: int


def overview(published: Published, *, now: datetime) -> Overview:
    """Gather the Home page.

    Args:
        published: The current version.
        now: The present moment; simulated data may be younger, then its own time counts.
    """
    scorecards = {row["experiment"]: row for row in published.table("scorecards").to_dicts()}
    overall = _overall_lifts(published)
    cards = [
        _card(row, scorecards.get(row["key"]), overall)
        for row in published.table("experiments").to_dicts()
    ]
    rank = clarity(published)
    cards.sort(key=lambda card: (rank.get(card.key, _UNCLEAR), card.key))
    cards.sort(key=lambda card: card.started_at.timestamp() if card.started_at else 0, reverse=True)
    cards.sort(key=lambda card: _ORDER.get(card.state, len(_ORDER)))
    # An external experiment's log comes whenever somebody imports it; nothing is late.
    ours = published.table("experiments").filter(pl.col("assignment") != "external")
    runs = State.RUNNING in ours.get_column("state").to_list()
    moment = max(now, published.published_at)
    sources = tuple(
        _source(row, now=moment, expected=runs)
        for row in published.table("health").sort("source").to_dicts()
    )
    lights = [card.srm for card in cards]
    for source in sources:
        lights += [source.freshness, source.quarantine, source.balance]
    concerns = [light for level in ("alarm", "watch") for light in lights if light.level == level]
    states = {state: sum(card.state == state for card in cards) for state in _ORDER}
    seen = published.table("creatives").filter(pl.col("impressions") > 0)
    creatives = seen.get_column("creative_id").n_unique()
    return Overview(tuple(cards), sources, tuple(concerns), states, creatives)


def clarity(published: Published) -> dict[str, tuple[int, int]]:
    """Return each analysed experiment's rank: clear verdicts first, then more proven lifts."""
    proven = published.table("lifts").group_by("experiment").agg(pl.col("significant").sum())
    lifts = dict(proven.iter_rows())
    verdicts = published.table("scorecards").select("experiment", "verdict").iter_rows()
    return {key: (_CLEAREST.index(verdict), -lifts.get(key, 0)) for key, verdict in verdicts}


def srm_light(scorecard: Mapping[str, Any] | None, experiment: str) -> Light:
    """Say whether units were split as planned."""
    label = f"Split of {experiment}"
    verdict = scorecard["srm_verdict"] if scorecard else None
    if scorecard is None or verdict is None:
        return Light("idle", label, "no scorecard yet")
    shown = p_value(scorecard["srm_p_value"])
    seen = "" if shown.why else f", p = {shown.text}".replace("= <", "< ")
    if verdict == "ok":
        return Light("ok", label, f"units are split as planned{seen}")
    if verdict == "alarm":
        return Light("alarm", label, f"units are not split as planned{seen}; verdicts are blocked")
    return Light("idle", label, "no planned weights to compare with")


def _overall_lifts(published: Published) -> dict[tuple[str, str], dict[str, Any]]:
    whole = pl.col("category").is_null() & pl.col("breakdown").is_null()
    rows = published.table("lifts").filter(whole).to_dicts()
    # The first treatment stands for the experiment; the Scorecard page shows them all.
    return {(row["experiment"], row["metric"]): row for row in reversed(rows)}


def _card(
    row: Mapping[str, Any],
    scorecard: Mapping[str, Any] | None,
    overall: Mapping[tuple[str, str], Mapping[str, Any]],
) -> ExperimentCard:
    found = overall.get((row["key"], row["primary_metric"]), {})
    why = found.get("undetermined") or (None if found else "no traffic analysed yet")
    return ExperimentCard(
        key=row["key"],
        state=row["state"],
        verdict=scorecard["verdict"] if scorecard else row["verdict"],
        sentence=(scorecard or {}).get("sentence") or _waiting(row["state"]),
        hypothesis=row["hypothesis"],
        owner=row["owner"],
        metric=row["primary_metric"],
        lift=lift(found.get("relative_lift"), why),
        interval=interval(found.get("low_shown"), found.get("high_shown"), why),
        srm=srm_light(scorecard, row["key"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        external=row["assignment"] == "external",
    )


def _waiting(state: str) -> str:
    if state == State.DRAFT:
        return "A draft: start it with `abp start`, then it gets traffic."
    return "No scorecard yet: it comes with the first analysed traffic."


def _source(row: Mapping[str, Any], *, now: datetime, expected: bool) -> SourceHealth:
    fates = ("received", "accepted", "quarantined", "duplicate", "superseded", "forgotten")
    counts = {fate: row[fate] or 0 for fate in fates}
    reasons: dict[str, int] = json.loads(row["reasons"] or "{}")
    return SourceHealth(
        source=row["source"],
        watermark=row["watermark"],
        freshness=_freshness(row, now=now, expected=expected),
        quarantine=_quarantine(row["source"], counts, reasons),
        balance=_balance(row["source"], counts),
        counts=counts,
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def _freshness(row: Mapping[str, Any], *, now: datetime, expected: bool) -> Light:
    label = f"Freshness of {row['source']}"
    watermark: datetime | None = row["watermark"]
    if row["silent"]:
        return Light("alarm", label, row["silent"].partition("; ")[0])
    if watermark is None:
        return Light("watch" if expected else "idle", label, "nothing loaded yet")
    late = now - watermark
    seen = f"complete until {age(late)} ago"
    if not expected:
        return Light("idle", label, f"{seen}; no experiment waits for it")
    level: Level = "ok" if late <= FRESH else "watch" if late <= STALE else "alarm"
    return Light(level, label, seen)


def _quarantine(source: str, counts: Mapping[str, int], reasons: Mapping[str, int]) -> Light:
    label = f"Quarantine of {source}"
    if not counts["received"]:
        return Light("idle", label, "nothing received yet")
    part = counts["quarantined"] / counts["received"]
    level: Level = (
        "ok" if part <= QUARANTINE_WATCH else "watch" if part <= QUARANTINE_ALARM else "alarm"
    )
    most = max(reasons, key=lambda reason: reasons[reason], default=None)
    detail = f"{share(part)} of events are in quarantine"
    return Light(level, label, f"{detail}, mostly {plain(most)}" if most else detail)


def _balance(source: str, counts: Mapping[str, int]) -> Light:
    label = f"Bookkeeping of {source}"
    gap = counts["received"] - sum(number for fate, number in counts.items() if fate != "received")
    if gap:
        return Light("alarm", label, f"{gap:,} received events are unaccounted for")
    return Light("ok", label, "every received event is accounted for")
