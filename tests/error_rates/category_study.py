"""Categories together: heterogeneity, the pooled lift, and how much raw winners promise."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc
from seeds import generator
from slices import EIGHT, TWENTY, Sliced, World, draw_sliced
from tallies import Row, Table, average, batches, share

from abplatform.stats.joint import JointLifts, joint_lifts, pool, wald_heterogeneity
from abplatform.stats.ratio import Undetermined
from abplatform.stats.shrinkage import shrink

__all__ = ["measure_heterogeneity", "measure_winners"]

RELATIVE_RATES = (1.0, 0.6, 1.4, 1.0, 0.8, 1.2, 1.0, 1.5)
WINNER_CTR = 0.05
WINNER_WORLDS = (
    # users a variant, spread of true log-lifts
    (4_000, 0.05),
    (15_000, 0.05),
    (15_000, 0.15),
    (40_000, 0.05),
    (40_000, 0.10),
)
HETEROGENEITY_WORLDS = (
    # users a variant, common lift
    (300, 0.0),
    (1000, 0.0),
    (5000, 0.0),
    (1000, 0.2),
)


def measure_heterogeneity(
    runs: int, *, worlds: Sequence[tuple[int, float]] = HETEROGENEITY_WORLDS
) -> list[Table]:
    """Hold the joint Wald test to its aim and show what impression-level tests do."""
    rows, pooled = [], []
    for users, lift in worlds:
        found = _heterogeneity_runs(users, lift, runs)
        labels = (f"{users:,}", f"{100 * lift:+.0f} %")
        wald = share(found["wald"], high=0.07)
        naive = [share(found[name]) for name in ("cochran", "breslow-day")]
        rows.append(Row(labels, (wald, *naive), len(found["wald"])))
        covered = share(found["pooled"], low=0.94, high=0.96)
        pooled.append(Row(labels, (covered, share(found["cmh"])), len(found["pooled"])))
    note = (
        "Eight categories with 5 to 30 % of the traffic, half of a user's impressions from a "
        "favourite category; their CTRs differ, the lift is the same everywhere."
    )
    return [
        Table(
            "Do categories differ? False positives where every category has the same lift",
            ("users a variant", "common lift"),
            ("joint Wald, by user", "Cochran's Q on impressions", "Breslow-Day on impressions"),
            tuple(rows),
            "“The lift differs by category” is said wrongly at most 7 times in 100; tests that "
            "count impressions say it far more often, which is why they are not offered.",
            (note,),
        ),
        Table(
            "The lift pooled over categories",
            ("users a variant", "common lift"),
            ("coverage, by user", "CMH on impressions rejects the true null"),
            tuple(pooled),
            "The pooled lift's interval holds the true lift 95 times in 100; "
            "Cochran-Mantel-Haenszel on impressions finds a lift where there is none.",
            (
                (
                    "CMH is shown where the lift is zero. The aim of coverage is ours: 94-96 %, "
                    "where a category drops out for want of clicks included."
                ),
            ),
        ),
    ]


def measure_winners(runs: int) -> list[Table]:
    """Measure how much the best of twenty categories promises beyond what it has."""
    rows = []
    for users, spread in WINNER_WORLDS:
        raw, shrunken, covered = _winner_runs(users, spread, runs)
        gated = float(np.mean(raw)) > 0.05
        values = (
            average(raw, unit="points"),
            average(shrunken, unit="points", **({"high": 0.005} if gated else {})),
            share(covered),
        )
        rows.append(Row((f"{users:,}", f"{spread:g}"), values, len(raw)))
    return [
        Table(
            "The best of twenty categories: promised lift less true lift",
            ("users a variant", "spread of true log-lifts"),
            ("raw winner", "shrunken winner", "shrunken intervals cover"),
            tuple(rows),
            "The category that looks best owes most of its lead to luck. The raw lift overstates "
            "by many points; the shrunken lift keeps its promise.",
            (
                (
                    "Each winner is the highest by its own estimate. True log-lifts are normal "
                    "around 5 %; twenty categories of equal traffic, CTR 3 %. The aim (0.5 points "
                    "at most) stands where raw winners overstate by more than 5 points."
                ),
            ),
        )
    ]


def _heterogeneity_runs(users: int, lift: float, runs: int) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {
        name: [] for name in ("wald", "cochran", "breslow-day", "pooled", "cmh")
    }
    for place, size in batches(runs, max(1, 100_000 // users), f"heterogeneity {users} {lift:g}"):
        rng = generator("heterogeneity", users, lift, place)
        control = draw_sliced(rng, World(EIGHT, 0.03, RELATIVE_RATES), runs=size, users=users)
        treated = World(EIGHT, 0.03 * (1 + lift), RELATIVE_RATES)
        treatment = draw_sliced(rng, treated, runs=size, users=users)
        for run in range(size):
            joint = joint_lifts(control.moments(run), treatment.moments(run))
            if isinstance(joint, Undetermined):
                continue
            wald = wald_heterogeneity(joint)
            if not isinstance(wald, Undetermined):
                found["wald"].append(wald.p_value < 0.05)
            pooled = pool(joint)
            if not isinstance(pooled, Undetermined):
                found["pooled"].append(pooled.interval.low <= lift <= pooled.interval.high)
            for name, p in _by_impressions(control, treatment, run, joint).items():
                if name != "cmh" or lift == 0:
                    found[name].append(p < 0.05)
    return found


def _by_impressions(
    control: Sliced, treatment: Sliced, run: int, joint: JointLifts
) -> dict[str, float]:
    """Return the p-values of tests that take impressions for independent trials."""
    from statsmodels.stats.contingency_tables import StratifiedTable

    kept = [int(name) for name in joint.names]
    nc, kc = control.table[run][kept, 1], control.table[run][kept, 2]
    nt, kt = treatment.table[run][kept, 1], treatment.table[run][kept, 2]
    tables = np.array([[kt, nt - kt], [kc, nc - kc]], dtype=float)
    variance = 1 / kc - 1 / nc + 1 / kt - 1 / nt
    y = joint.log_lifts
    mean = (y / variance).sum() / (1 / variance).sum()
    cochran = float(chdtrc(len(kept) - 1, ((y - mean) ** 2 / variance).sum()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stratified = StratifiedTable(tables)
        return {
            "cochran": cochran,
            "breslow-day": float(stratified.test_equal_odds().pvalue),
            "cmh": float(stratified.test_null_odds().pvalue),
        }


def _winner_runs(
    users: int, spread: float, runs: int
) -> tuple[list[float], list[float], list[bool]]:
    raw, shrunken, covered = [], [], []
    for place, _ in batches(runs, 1, f"winners {users} {spread:g}"):
        rng = generator("winners", users, spread, place)
        truth = np.exp(rng.normal(math.log(1.05), spread, len(TWENTY)))
        control = draw_sliced(rng, World(TWENTY, WINNER_CTR), runs=1, users=users)
        treatment = draw_sliced(rng, World(TWENTY, WINNER_CTR, truth), runs=1, users=users)
        joint = joint_lifts(control.moments(0), treatment.moments(0))
        if isinstance(joint, Undetermined) or isinstance(found := shrink(joint), Undetermined):
            continue
        true_lift = truth[[int(name) for name in joint.names]] - 1
        own = np.expm1(joint.log_lifts)
        best = int(np.argmax(own))
        raw.append(float(own[best] - true_lift[best]))
        best = int(np.argmax(found.lift))
        shrunken.append(float(found.lift[best] - true_lift[best]))
        covered += ((found.low <= true_lift) & (true_lift <= found.high)).tolist()
    return raw, shrunken, covered
