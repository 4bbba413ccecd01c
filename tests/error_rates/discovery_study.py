"""False discoveries among twenty categories: at the decision, and while monitoring."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from arrivals import Daily
from looks_study import look_at
from seeds import generator
from slices import ONE_LARGE, TWENTY, Sliced, World, draw_sliced
from tallies import Measured, Row, Table, average, batches, share

from abplatform.stats.anytime import AnytimeView, mixture_variance, monitor
from abplatform.stats.categories import adjust, reject_by_e_values
from abplatform.stats.ratio import RatioContrast, RatioSums, contrast
from abplatform.stats.sequential import Plan, first_crossings, sequential_plan

__all__ = ["measure_discoveries"]

ALPHA = 0.05
DAYS = 14
USERS_A_DAY = 600
SMALL_LIFTS = (1.0,) * 15 + (1.4,) * 5
WORLDS: dict[str, World] = {
    "one of 80 %, no effects": World(ONE_LARGE, 0.05),
    "one of 80 %, five small ones +40 %": World(ONE_LARGE, 0.05, SMALL_LIFTS),
    "one of 80 % +10 %, five small ones +40 %": World(ONE_LARGE, 0.05, (1.1, *SMALL_LIFTS[1:])),
    "twenty of 5 %, no effects": World(TWENTY, 0.05),
    "twenty of 5 %, five +40 %": World(TWENTY, 0.05, SMALL_LIFTS),
}


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """What was rejected in one run, over looks and categories.

    Args:
        decided: Categories rejected by BH at the decision look.
        watched: Categories rejected by e-BH at each look, shape (days, C).
        by_p: Categories with p < 0.05 at each look, without any correction.
    """

    decided: np.ndarray
    watched: np.ndarray
    by_p: np.ndarray


def measure_discoveries(runs: int, *, worlds: Sequence[str] = tuple(WORLDS)) -> list[Table]:
    """Hold both corrections to a false discovery rate of 5 %."""
    rows, watched = [], []
    for name in worlds:
        world = WORLDS[name]
        true = np.asarray(world.factors or (1.0,) * len(world.shares)) != 1
        families = _families(name, world, runs)
        decided = [_false_share(one.decided, true) for one in families]
        found = [one.decided[true].mean() if true.any() else np.nan for one in families]
        raw = [_false_share(one.by_p[-1], true) for one in families]
        rows.append(
            Row(
                (name,),
                (
                    average(decided, high=0.06, unit="share"),
                    _found(found),
                    average(raw, unit="share"),
                ),
                runs,
            )
        )
        watched.append(_watched_row(name, families, true, runs))
    return [
        Table(
            "False discoveries among 20 categories at the decision look",
            ("world",),
            (
                "BH at the decision: false share",
                "true ones found",
                "p < 0.05 at the end: false share",
            ),
            tuple(rows),
            "Of the categories named as different, at most 6 in 100 are false on average, also "
            "when the experiment ends on the day its primary metric wins.",
            (
                (
                    "Fourteen daily looks, 8,400 users of one day a variant who span categories, "
                    "CTR 5 %. The experiment ends where the `sequential` plan of the overall CTR "
                    "ends. The false share of a run without discoveries is 0."
                ),
            ),
        ),
        Table(
            "False discoveries while monitoring: e-BH at every look",
            ("world",),
            ("worst look", "stopping at the first discovery", "p < 0.05 on some day"),
            tuple(watched),
            "Categories may be watched daily: even a team that stops as soon as something lights "
            "up is fooled less often than 6 times in 100.",
        ),
    ]


def _watched_row(name: str, families: Sequence[Family], true: np.ndarray, runs: int) -> Row:
    by_look = np.array([[_false_share(day, true) for day in one.watched] for one in families])
    worst = int(by_look.mean(axis=0).argmax())
    stopping = [_false_share(_first_found(one.watched), true) for one in families]
    ever = [bool(one.by_p[:, ~true].any()) for one in families]
    return Row(
        (name,),
        (
            average(by_look[:, worst], high=0.06, unit="share"),
            average(stopping, high=0.06, unit="share"),
            share(ever),
        ),
        runs,
    )


def _families(name: str, world: World, runs: int) -> list[Family]:
    families = []
    plan = sequential_plan(alpha=ALPHA, days=range(1, DAYS + 1))
    size = 5
    information = _final_information(name, world)
    plan = replace(plan, information_max=information)
    tau2 = mixture_variance(alpha=ALPHA, information=information)
    for place, count in batches(runs, size, f"discoveries, {name}"):
        rng = generator("discoveries", name, place)
        pair = _draw(rng, world, count)
        tables = [_daily_table(one, count) for one in pair]
        overall = [_overall(one, count) for one in pair]
        ends = _ends(plan, *overall)
        families += [
            _family([table[run] for table in tables], int(ends[run]), tau2) for run in range(count)
        ]
    return families


def _draw(rng: np.random.Generator, world: World, runs: int) -> list[Sliced]:
    """Draw both variants; a day's users are a run of their own at first."""
    null = replace(world, factors=None)
    return [draw_sliced(rng, one, runs=runs * DAYS, users=USERS_A_DAY) for one in (null, world)]


def _daily_table(variant: Sliced, runs: int) -> np.ndarray:
    """Return running sums by day and category, shape (runs, days, C, 8)."""
    table = variant.table
    return np.cumsum(table.reshape(runs, DAYS, *table.shape[1:]), axis=1)


def _overall(variant: Sliced, runs: int) -> Daily:
    return Daily(np.cumsum(variant.overall.reshape(runs, DAYS, -1), axis=1))


def _ends(plan: Plan, control: Daily, treatment: Daily) -> np.ndarray:
    """Return the index of the look that decides each run."""
    looks = look_at(control, treatment)
    crossed = first_crossings(
        plan, looks.z, looks.information, days=looks.days, usable=looks.tested
    )
    full = np.maximum.accumulate(looks.information, axis=1) >= (plan.information_max or np.inf)
    full[:, -1] = True
    last = full.argmax(axis=1)
    return np.where(crossed > 0, crossed - 1, last)


def _family(tables: list[np.ndarray], end: int, tau2: float) -> Family:
    days, categories = tables[0].shape[:2]
    rows = [table.tolist() for table in tables]
    watched = np.zeros((days, categories), dtype=bool)
    by_p = np.zeros((days, categories), dtype=bool)
    decided = np.zeros(categories, dtype=bool)
    for day in range(days):
        sums = [[RatioSums(*one) for one in side[day]] for side in rows]
        results = [contrast(a, b, share=True) for a, b in zip(*sums, strict=True)]
        e_values = [
            _e_value(result, min(a.k_units, b.k_units), tau2)
            for result, a, b in zip(results, *sums, strict=True)
        ]
        watched[day] = reject_by_e_values(e_values, alpha=ALPHA, correction="bh")
        p_values = [one.p_value if isinstance(one, RatioContrast) else None for one in results]
        by_p[day] = [p is not None and p < ALPHA for p in p_values]
        if day == end:
            adjusted = adjust(p_values, correction="bh")
            decided = np.array([p is not None and p <= ALPHA for p in adjusted])
    return Family(decided, watched, by_p)


def _e_value(result: object, event_units: int, tau2: float) -> float | None:
    view = monitor(result, event_units=event_units, alpha=ALPHA, tau2=tau2)
    return view.e_value if isinstance(view, AnytimeView) else None


def _final_information(name: str, world: World) -> float:
    rng = generator("discoveries", "pilot", name)
    pair = [_overall(one, 20) for one in _draw(rng, replace(world, factors=None), 20)]
    return float(look_at(*pair).information[:, -1].mean())


def _false_share(rejected: np.ndarray, true: np.ndarray) -> float:
    return float(rejected[~true].sum() / max(1, rejected.sum()))


def _first_found(watched: np.ndarray) -> np.ndarray:
    """Return what is rejected at the first look that rejects anything, else nothing."""
    any_found = watched.any(axis=1)
    return watched[any_found.argmax()]


def _found(values: list[float]) -> Measured:
    known = [one for one in values if not np.isnan(one)]
    return average(known, unit="share") if known else Measured(None)
