"""A big week of events with known true lifts, written part by part so that 100M fit in memory.

Run it as ``python tests/benchmarks/big_week.py --events 1000000 --out DIR``. In DIR:

* ``week-000.parquet``, … (or ``.csv``, ``.jsonl``): wire events in order of time: impressions, the
  clicks on them, a few conversions; heavy-tailed shoppers, some bots, some lines delivered twice;
* ``experiments/big-week.yaml``: the experiment, ready for a workspace;
* ``truth.json``: what a perfect analysis would find, and how many events of which kind there are.

A shopper's taste multiplies every click probability alike, so the planted lift of a category is
exactly the lift of its rate. ``impressions`` in the truth are of people only, each counted once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

import click
import numpy as np
import polars as pl
import pyarrow as pa

from abplatform.domain.assignment import bucket_ranges, buckets

__all__ = ["BigWeek", "Truth", "write_week"]

EXPERIMENT: Final = "big-week"
VARIANTS: Final = ("plain", "garden", "studio", "street")
CATEGORIES: Final = (
    *("audio/headphones", "bags/totes", "beauty/lip", "beauty/skin", "books/novels"),
    *("home/lamps", "kitchen/cups", "shoes/running", "toys/puzzles", "watches/field"),
)
BASE_RATES: Final = np.array([2.0, 3.5, 6.0, 5.0, 1.5, 2.5, 3.0, 4.5, 4.0, 2.2]) / 100
"""Click-through rate of the control by category, at average taste."""

LIFTS: Final = np.array(
    [
        [0.0] * 10,
        [0.10, 0.08, 0.15, 0.12, 0.0, 0.06, 0.05, 0.10, -0.05, 0.04],
        [0.03, 0.0, 0.06, 0.0, -0.04, 0.02, 0.03, 0.05, 0.0, 0.0],
        [-0.06, 0.0, -0.10, -0.03, 0.0, 0.0, -0.08, 0.12, 0.0, -0.05],
    ]
)
"""True relative lift over the control, by variant and category."""

_PRODUCTS_A_CATEGORY: Final = 40
_IMPRESSIONS_A_UNIT: Final = 12
_IMPRESSIONS_A_BOT: Final = 2000
_CONVERTS: Final = 0.05
_BUSY_HOURS: Final = np.array(
    (4, 2, 1, 1, 1, 2, 4, 7, 9, 10, 10, 11, 12, 11, 10, 10, 11, 12, 14, 16, 17, 16, 12, 8)
)
"""Visits by hour of the day, in proportion."""

_AGENTS: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_1) AppleWebKit/605.1.15 Safari/18",
)
_BOT_AGENT: Final = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
_TYPES: Final = {"impression": 1, "click": 2, "conversion": 3}

_YAML: Final = """\
key: big-week
owner: growth
hypothesis: Pictures with a scene get more clicks than plain ones.
assignment: external          # the log says who saw what; its buckets are those of `abp assign`
unit: user_id
variants:
  plain: {control: true, weight: 25}
  garden: {weight: 25}
  studio: {weight: 25}
  street: {weight: 25}
events: {attribution_window: 24h, conversion_window: 7d, late_data: 72h, bots: exclude}
metrics:
  primary: {metric: ctr, mde: 3%}
  guardrails: [{metric: cvr, non_inferiority_margin: 10%}]
breakdowns: [{by: category, level: 2, correction: bh, shrink: true}]
"""


@dataclass(frozen=True)
class BigWeek:
    """What to write.

    Args:
        events: Impressions, clicks, conversions and second deliveries, about.
        days: How long it lasts.
        seed: The same seed writes the same events.
        duplicates: Share of lines that are delivered twice.
        bots: Share of impressions that bots ask for; half of them say so in their user agent.
        part_events: Events a file, about.
        start: The first moment, in UTC.
    """

    events: int
    days: int = 7
    seed: int = 1
    duplicates: float = 0.01
    bots: float = 0.002
    part_events: int = 1_000_000
    start: datetime = datetime(2026, 11, 2, tzinfo=UTC)

    @property
    def impressions(self) -> int:
        """How many impressions, second deliveries not counted."""
        clicks = float(BASE_RATES.mean() * (1 + LIFTS.mean()))
        return round(self.events / (1 + self.duplicates) / (1 + clicks * (1 + _CONVERTS)))

    @property
    def parts(self) -> int:
        """How many files."""
        return max(1, round(self.events / self.part_events))

    @property
    def units(self) -> int:
        """How many shoppers may turn up."""
        return max(10, self.impressions // _IMPRESSIONS_A_UNIT)

    @cached_property
    def shoppers(self) -> tuple[np.ndarray, np.ndarray]:
        """Running share of all visits, and taste: of each shopper."""
        draw = np.random.default_rng([self.seed, 0])
        visits = np.cumsum(draw.lognormal(0, 1.1, self.units))
        taste = np.clip(draw.lognormal(-0.125, 0.5, self.units), 0, 4).astype(np.float32)
        return visits / visits[-1], taste

    @cached_property
    def clock(self) -> np.ndarray:
        """Running share of all visits at the end of each hour, from 0 on."""
        hours = np.tile(_BUSY_HOURS, self.days).cumsum()
        return np.concatenate([[0.0], hours / hours[-1]])


@dataclass
class Truth:
    """What is counted while writing; arrays are by variant and category, people only."""

    impressions: np.ndarray
    clicks: np.ndarray
    expected_clicks: np.ndarray
    kinds: dict[str, int]
    duplicates: int = 0
    bot_impressions: int = 0

    def to_json(self, week: BigWeek) -> dict[str, object]:
        """Return what ``truth.json`` holds."""
        cells = [(v, c) for v in range(len(VARIANTS)) for c in range(len(CATEGORIES))]
        return {
            "experiment": EXPERIMENT,
            "control": VARIANTS[0],
            "seed": week.seed,
            "days": week.days,
            "events": sum(self.kinds.values()) + self.duplicates,
            "kinds": self.kinds,
            "duplicates": self.duplicates,
            "bot_impressions": self.bot_impressions,
            "lifts": [
                {
                    "category": CATEGORIES[c],
                    "treatment": VARIANTS[v],
                    "relative_lift": float(LIFTS[v, c]),
                }
                for v, c in cells
                if v
            ],
            "counts": [
                {
                    "category": CATEGORIES[c],
                    "variant": VARIANTS[v],
                    "impressions": int(self.impressions[v, c]),
                    "clicks": int(self.clicks[v, c]),
                    "expected_clicks": round(float(self.expected_clicks[v, c]), 3),
                }
                for v, c in cells
            ],
        }


def write_week(week: BigWeek, out: Path, *, form: str = "parquet") -> Truth:
    """Write the files of a week.

    Args:
        week: What to write.
        out: The folder; made if need be.
        form: parquet, csv or jsonl.
    """
    (out / "experiments").mkdir(parents=True, exist_ok=True)
    (out / "experiments" / f"{EXPERIMENT}.yaml").write_text(_YAML, encoding="utf-8")
    shape = (len(VARIANTS), len(CATEGORIES))
    truth = Truth(np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape), {})
    for number, tables in enumerate(_parts(week, truth)):
        _write(tables, out / f"week-{number:03}.{form}")
    text = json.dumps(truth.to_json(week), indent=1) + "\n"
    (out / "truth.json").write_text(text, encoding="utf-8")
    return truth


def _parts(week: BigWeek, truth: Truth) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield the events of each file, kind to rows; some stand a second time in the next file."""
    carried: dict[str, pl.DataFrame] = {}
    for part in range(week.parts):
        tables = _events(week, part, truth)
        for kind, rows in tables.items():
            truth.kinds[kind] = truth.kinds.get(kind, 0) + len(rows)
        again = {
            kind: rows.sample(fraction=week.duplicates, seed=week.seed + part)
            for kind, rows in tables.items()
        }
        truth.duplicates += sum(map(len, again.values()))
        if part == week.parts - 1:
            carried = {k: pl.concat([carried[k], again[k]]) if carried else again[k] for k in again}
            again = {}
        yield {k: pl.concat([v, carried[k]]) if carried else v for k, v in tables.items()}
        carried = again


def _events(week: BigWeek, part: int, truth: Truth) -> dict[str, pl.DataFrame]:
    draw = np.random.default_rng([week.seed, 1, part])
    first = week.impressions * part // week.parts
    rows = week.impressions * (part + 1) // week.parts - first
    shares = np.sort(draw.random(rows) + part) / week.parts
    shares[-1] = min(shares[-1], 1.0)
    hours = np.interp(shares, week.clock, np.arange(len(week.clock)))
    ts = (hours * 3_600_000).astype(np.int64)
    visits, taste = week.shoppers
    unit = np.searchsorted(visits, draw.random(rows)).astype(np.int64)
    tasted = taste[unit]
    bot = _let_bots_in(week, draw, unit, ts)
    category = _categories(draw, unit)
    variant = _variants(unit)
    chance = np.where(bot == 0, BASE_RATES[category] * (1 + LIFTS[variant, category]) * tasted, 0)
    clicked = draw.random(rows) < chance
    _count(truth, variant[bot == 0], category[bot == 0], chance[bot == 0], clicked[bot == 0])
    truth.bot_impressions += int((bot > 0).sum())
    ids = _ids(week, "impression", first, rows)
    product = category * _PRODUCTS_A_CATEGORY + draw.integers(0, _PRODUCTS_A_CATEGORY, rows)
    shown = pl.DataFrame(
        {"ts_ms": ts, "unit": unit, "variant": variant, "category": category, "product": product}
        | {"bot": bot, "place": draw.integers(0, 2**31, rows)}
    ).with_columns(pl.Series("event_id", ids))
    clicks = shown.filter(pl.Series(clicked)).select("ts_ms", "event_id")
    delay = np.minimum(draw.exponential(20_000, len(clicks)), 3_600_000).astype(np.int64)
    clicks = clicks.with_columns(pl.col("ts_ms") + 300 + pl.Series(delay))
    bought = clicks.filter(pl.Series(draw.random(len(clicks)) < _CONVERTS))
    later = np.minimum(draw.exponential(600_000, len(bought)), 36_000_000).astype(np.int64)
    bought = bought.with_columns(
        pl.col("ts_ms") + pl.Series(later),
        paid=pl.Series(draw.integers(5_000, 90_000, len(bought)) * 1000),
    )
    return {
        "impression": _impressions(week, shown),
        "click": _followers(week, "click", clicks, first),
        "conversion": _followers(week, "conversion", bought, first),
    }


def _let_bots_in(
    week: BigWeek, draw: np.random.Generator, unit: np.ndarray, ts: np.ndarray
) -> np.ndarray:
    """Give some rows to bots, in place; return 0 for people, 1 for known agents, 2 for bursts."""
    rows = len(unit)
    bot = np.zeros(rows, np.int8)
    count = round(rows * week.bots)
    if not count:
        return bot
    bots = max(2, round(week.impressions * week.bots / _IMPRESSIONS_A_BOT))
    half = count // 2
    at = draw.choice(rows, half, replace=False)
    known = draw.integers(0, max(1, bots // 2), half)
    unit[at], bot[at] = week.units + 2 * known, 1
    # A burst is a stretch of neighbouring rows; it all happens within half a minute.
    begin = int(draw.integers(0, rows - half))
    stretch = slice(begin, begin + half)
    unit[stretch] = week.units + 2 * int(draw.integers(0, max(1, bots // 2))) + 1
    ts[stretch] = ts[begin] + np.linspace(0, 30_000, half).astype(np.int64)
    bot[stretch] = 2
    return bot


def _categories(draw: np.random.Generator, unit: np.ndarray) -> np.ndarray:
    """Half of a shopper's visits go to the favourite category, the others anywhere."""
    count = len(CATEGORIES)
    favourite = (_mixed(unit.astype(np.uint64)) % np.uint64(count)).astype(np.int64)
    anywhere = draw.choice(count, len(unit), p=np.arange(count + 5, 5, -1) / sum(range(6, 16)))
    return np.where(draw.random(len(unit)) < 0.5, favourite, anywhere)


def _variants(unit: np.ndarray) -> np.ndarray:
    ids = pl.select(_unit_ids(pl.lit(pl.Series(unit)))).to_series()
    bucket = np.asarray(buckets(ids, f"experiment:{EXPERIMENT}"))
    variant = np.zeros(len(unit), np.int64)
    ranges = bucket_ranges(dict.fromkeys(VARIANTS, 25.0))
    for number, name in enumerate(VARIANTS):
        for one in ranges[name]:
            variant[(bucket >= one.low) & (bucket < one.high)] = number
    return variant


def _count(
    truth: Truth,
    variant: np.ndarray,
    category: np.ndarray,
    chance: np.ndarray,
    clicked: np.ndarray,
) -> None:
    cell = variant * len(CATEGORIES) + category
    for total, weights in (
        (truth.impressions, None),
        (truth.clicks, clicked),
        (truth.expected_clicks, chance),
    ):
        found = np.bincount(cell, weights, minlength=total.size).reshape(total.shape)
        np.add(total, found, out=total, casting="unsafe")


def _impressions(week: BigWeek, shown: pl.DataFrame) -> pl.DataFrame:
    def one_of(names: tuple[str, ...], index: pl.Expr) -> pl.Expr:
        return index.replace_strict(range(len(names)), names, return_dtype=pl.String)

    place = pl.col("place")
    product = pl.format("sku-{}", pl.col("product").cast(pl.String).str.zfill(4))
    variant = one_of(VARIANTS, pl.col("variant"))
    agent = one_of(_AGENTS, (place // 3) % len(_AGENTS))
    return shown.select(
        schema=pl.lit(1, pl.Int64),
        event_type=pl.lit("impression"),
        event_id="event_id",
        ts=_moments(week),
        experiment=pl.lit(EXPERIMENT),
        variant=variant,
        unit_id=_unit_ids(pl.col("unit")),
        creative_id=pl.format("{}-{}", product, variant),
        product_id=product,
        category=one_of(CATEGORIES, pl.col("category")),
        channel=one_of(("app", "web", "mail"), (place // 16) % 3),
        placement=one_of(("feed", "search", "detail"), (place // 64) % 3),
        position=((place // 256) % 20).cast(pl.Int64),
        country=one_of(("CN", "SG", "DE", "FR", "US"), pl.col("unit") % 5),
        segment=one_of(("new", "returning", "loyal"), (pl.col("unit") // 5) % 3),
        user_agent=pl.when(pl.col("bot") == 1).then(pl.lit(_BOT_AGENT)).otherwise(agent),
    )


def _followers(week: BigWeek, kind: str, rows: pl.DataFrame, first: int) -> pl.DataFrame:
    """Make clicks or conversions of the impressions that they follow."""
    ids = _ids(week, kind, first, len(rows))
    money = {
        "kind": pl.lit("purchase"),
        "value_micros": pl.col("paid"),
        "currency": pl.lit("USD"),
    }
    return rows.select(
        schema=pl.lit(1, pl.Int64),
        event_type=pl.lit(kind),
        event_id=pl.Series(ids),
        ts=_moments(week),
        impression_id="event_id",
        **(money if kind == "conversion" else {}),
    )


def _moments(week: BigWeek) -> pl.Expr:
    start = int(week.start.timestamp() * 1000)
    moment = (pl.col("ts_ms") + start).cast(pl.Datetime("ms"))
    return moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")


def _unit_ids(unit: pl.Expr) -> pl.Expr:
    return pl.format("user-{}", unit.cast(pl.String).str.zfill(9))


def _ids(week: BigWeek, kind: str, first: int, count: int) -> pl.Series:
    """Return unique ids of 32 hex digits that look random, as those of real logs do."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    tag = np.uint64((_TYPES[kind] << 56) | (week.seed << 40))
    # The mixer is one to one, so the first word alone is unique.
    words = np.stack([_mixed(numbers | tag), _mixed(numbers * np.uint64(3) + tag)], axis=1)
    digits = words.astype(">u8").tobytes().hex().encode()
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), count, [None, pa.py_buffer(digits)])
    return pl.Series("event_id", pl.from_arrow(fixed.cast(pa.binary()).cast(pa.string())))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Mix 64-bit numbers one to one (splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _write(tables: dict[str, pl.DataFrame], path: Path) -> None:
    """Write one file in order of time; JSON lines hold only the fields that an event has."""
    if path.suffix == ".jsonl":
        lines = [
            rows.select("ts", line=pl.struct(pl.all()).struct.json_encode())
            for rows in tables.values()
        ]
        text = pl.concat(lines).sort("ts", maintain_order=True)["line"]
        with path.open("w", encoding="utf-8") as file:
            for begin in range(0, len(text), 100_000):
                file.write("\n".join(text[begin : begin + 100_000].to_list()) + "\n")
        return
    rows = pl.concat(tables.values(), how="diagonal").sort("ts", maintain_order=True)
    if path.suffix == ".parquet":
        rows.write_parquet(path)
    else:
        rows.write_csv(path)


def main() -> None:
    """Write a week and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--form", choices=["parquet", "csv", "jsonl"], default="parquet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duplicates", type=float, default=0.01)
    parser.add_argument("--bots", type=float, default=0.002)
    parser.add_argument("--part-events", type=int, default=1_000_000)
    asked = vars(parser.parse_args())
    out, form = asked.pop("out"), asked.pop("form")
    week = BigWeek(**asked)
    truth = write_week(week, out, form=form)
    click.echo(
        f"{sum(truth.kinds.values()) + truth.duplicates:,} events in {week.parts} files in {out}"
    )


if __name__ == "__main__":
    main()
