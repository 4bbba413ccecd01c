"""A simulated week as a log: JSON lines in the order in which they arrive, with their faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from abplatform.simulation.seeds import stream
from abplatform.simulation.traffic import Exposure, SimulatedWeek

__all__ = ["Delivery", "Log", "write_log"]

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_BOT_AGENT = "Mozilla/5.0 (compatible; ExampleBot/1.0; +http://bot.example/about)"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How badly the log behaves.

    Args:
        redelivered: Share of lines that arrive once more, byte for byte.
        late: Share of events that arrive up to two days late.
        lost: Share of impressions that never arrive, so that their clicks are orphans.
    """

    redelivered: float = 0.015
    late: float = 0.01
    lost: float = 0.001


@dataclass(frozen=True, slots=True)
class Log:
    """What was written, and what was planted in it.

    Args:
        files: In order of arrival.
        lines: How many lines they hold.
        redelivered: How many of these are second copies.
        late: How many events arrive more than an hour late.
        orphans: How many clicks have no impression.
    """

    files: tuple[Path, ...]
    lines: int
    redelivered: int
    late: int
    orphans: int


def write_log(
    week: SimulatedWeek,
    folder: Path,
    *,
    monday: datetime,
    prefix: str,
    delivery: Delivery | None = None,
) -> Log:
    """Write the week's events as wire events of schema 1, one file for each day of arrival.

    Args:
        week: What happened.
        folder: Where the files go; made if need be.
        monday: The week's first moment.
        prefix: Begins every event id, unique to the week.
        delivery: How badly the log behaves.
    """
    folder.mkdir(parents=True, exist_ok=True)
    how = delivery or Delivery()
    draw = stream(week.market.seed, "delivery", monday.isoformat())
    since = int(monday.timestamp()) * 1_000_000
    shown, lost = _impression_fields(week, draw, how)
    once, again = _arrivals(shown, lost, draw, how)
    events = pl.concat([once, again]).with_columns(day=(pl.col("arrives") - since) // _DAY)
    fragments = _fragments(week)
    paths = []
    for (day,), batch in events.sort("day", "arrives", "number", maintain_order=True).group_by(
        "day", maintain_order=True
    ):
        path = folder / f"{prefix}-day{day}.jsonl"
        partial = path.with_suffix(".partial")
        lines = pl.concat(list(_lines(batch, fragments, prefix)))
        lines.sort("arrives", "number", maintain_order=True).select("line").write_csv(
            partial, include_header=False, quote_style="never"
        )
        partial.rename(path)
        paths.append(path)
    return Log(
        files=tuple(paths),
        lines=len(events),
        redelivered=len(again),
        late=once.filter(pl.col("arrives") - pl.col("ts") > _HOUR).height,
        orphans=shown.filter(lost & pl.col("clicked")).height,
    )


def _impression_fields(
    week: SimulatedWeek, draw: np.random.Generator, how: Delivery
) -> tuple[pl.DataFrame, pl.Series]:
    """Add each impression's number and the index of its assignments; say which are lost."""
    frame = week.impressions.with_row_index("number")
    code = np.zeros(len(frame), dtype=np.int64)
    for exposure in week.exposures:
        names = tuple(exposure.plan.phase.variants)
        index = frame[exposure.plan.experiment_key].to_numpy().astype(np.int64)
        for number, name in enumerate(names):
            silent = draw.random(len(week.units)) < exposure.lost.get(name, 0.0)
            index = np.where((index == number) & silent[frame["unit"].to_numpy()], -1, index)
        code = code * (len(names) + 1) + index + 1
    shown = frame.select(
        "number", "ts", "unit", "product", "creative", "clicked", "delay", assigned=pl.Series(code)
    )
    # An impression without any assignment left would be no experiment's event.
    return shown, pl.Series((draw.random(len(shown)) < how.lost) | (code == 0))


def _arrivals(
    shown: pl.DataFrame, lost: pl.Series, draw: np.random.Generator, how: Delivery
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Impressions and clicks with the moment at which they arrive, and those that do so again."""
    impressions = shown.filter(~lost).with_columns(click=pl.lit(value=False))
    clicks = shown.filter("clicked").with_columns(
        click=pl.lit(value=True), ts=pl.col("ts") + pl.col("delay")
    )
    events = pl.concat([impressions, clicks]).drop("clicked", "delay")
    late = draw.random(len(events)) < how.late
    wait = np.where(
        late, draw.uniform(0, 48 * _HOUR, len(events)), draw.uniform(0, 2e6, len(events))
    )
    events = events.with_columns(arrives=pl.col("ts") + pl.Series(wait.astype(np.int64)))
    again = events.filter(pl.Series(draw.random(len(events)) < how.redelivered))
    pause = pl.Series(draw.uniform(60e6, 20 * _HOUR, len(again)).astype(np.int64))
    return events, again.with_columns(arrives=pl.col("arrives") + pause)


def _fragments(week: SimulatedWeek) -> dict[str, pl.Series]:
    """Ready-made pieces of JSON for everything that repeats from line to line."""
    agents = ["" for _ in week.market.shoppers.unit_ids]
    swarm = len(week.units) - len(agents)
    said = f',"user_agent":{json.dumps(_BOT_AGENT)}'
    agents += [said if number % 2 else "" for number in range(swarm)]
    channels = [*(("app", "web")[i] for i in week.market.shoppers.channel), *["web"] * swarm]
    return {
        "product": pl.Series(
            [
                f'"product_id":{json.dumps(p.product_id)},"category":{json.dumps(p.category.path)}'
                for p in week.market.products
            ]
        ),
        "creative": pl.Series([json.dumps(name) for name in week.creatives]),
        "assigned": pl.Series(_assignment_texts(week.exposures)),
        "unit": week.units,
        "ending": pl.Series(
            [f',"channel":"{c}"{a}}}' for c, a in zip(channels, agents, strict=True)]
        ),
    }


def _assignment_texts(exposures: Sequence[Exposure]) -> list[str]:
    """The ``assignments`` array for every combination of variants, in the order of its code."""
    combinations: list[list[dict[str, str]]] = [[]]
    for exposure in exposures:
        choices = [None, *exposure.plan.phase.variants]
        combinations = [
            [*before, {"experiment": exposure.plan.experiment_key, "variant": name}]
            if name
            else before
            for before in combinations
            for name in choices
        ]
    return [json.dumps(rows, separators=(",", ":")) for rows in combinations]


def _lines(
    batch: pl.DataFrame, fragments: dict[str, pl.Series], prefix: str
) -> Iterator[pl.DataFrame]:
    """Write one arrival day's impressions, then its clicks, as text."""
    moment = pl.from_epoch("ts", time_unit="us").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    timed = batch.with_columns(moment=moment)
    seen, clicks = timed.filter(~pl.col("click")), timed.filter("click")
    yield seen.select(
        "arrives",
        "number",
        line=pl.concat_str(
            pl.lit(f'{{"schema":1,"event_type":"impression","event_id":"{prefix}-i'),
            pl.col("number").cast(pl.String),
            pl.lit('","ts":"'),
            "moment",
            pl.lit('","unit_id":"'),
            fragments["unit"].gather(seen["unit"]),
            pl.lit('",'),
            fragments["product"].gather(seen["product"]),
            pl.lit(',"creative_id":'),
            fragments["creative"].gather(seen["creative"]),
            pl.lit(',"assignments":'),
            fragments["assigned"].gather(seen["assigned"]),
            fragments["ending"].gather(seen["unit"]),
        ),
    )
    yield clicks.select(
        "arrives",
        "number",
        line=pl.concat_str(
            pl.lit(f'{{"schema":1,"event_type":"click","event_id":"{prefix}-c'),
            pl.col("number").cast(pl.String),
            pl.lit('","ts":"'),
            "moment",
            pl.lit(f'","impression_id":"{prefix}-i'),
            pl.col("number").cast(pl.String),
            pl.lit('"}'),
        ),
    )
