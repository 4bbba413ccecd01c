"""The options beside the default: other intervals with few clicks, and CUPED."""

from collections.abc import Sequence

import numpy as np
from integers import exact
from ratio_study import COVERAGE, FALSE_POSITIVES, LOOSE
from seeds import generator
from shoppers import (
    ACTIVITY_MEAN,
    BUSY_CLICK_LESS,
    MOOD,
    TASTE,
    Rates,
    draw_activity,
    draw_beta,
    draw_users,
    sums_of,
)
from tallies import Measured, Row, Table, average, batches, share

from abplatform.stats.bootstrap import BootstrapLift, bootstrap_lift
from abplatform.stats.cuped import adjust_rates, contrast_adjusted, variance_reduction
from abplatform.stats.moments import Counts, UnitMoments
from abplatform.stats.ratio import MIN_EVENT_UNITS, RatioContrast, contrast

__all__ = ["measure_cuped", "measure_options"]

OPTIONS = ("fieller", "log_delta", "delta")
REDRAWN = 1000  # draws of a bootstrap
BOOTSTRAPPED = 400  # users at most, for the sake of time


def measure_options(runs: int) -> list[Table]:
    """Show the default and the optional intervals side by side where clicks are few."""
    rows = []
    for users in (100, 200, 400, 1000, 4000):
        found, middle = _option_runs(users, runs)
        measured = [share(found[name], **LOOSE) for name in OPTIONS]
        redrawn = found["bootstrap"]
        measured.append(share(redrawn, **LOOSE) if redrawn else Measured(None))
        rows.append(Row((f"{users:,}", f"{middle:.0f}"), tuple(measured), runs))
    return [
        Table(
            "The default interval and the options, CTR, no effect: false positives",
            ("users a variant", "clicking users (median)"),
            ("Fieller (default)", "log-delta", "delta", "bootstrap by user"),
            tuple(rows),
            "With a dozen clicking users the delta interval finds effects that are not there too "
            "often, which is why it is an option and Fieller's the default.",
            (
                (
                    "CTR 1-5 %, experiments with at least 5 clicking users in each variant. The "
                    f"bootstrap ({REDRAWN:,} draws) rests on a tenth of the runs."
                ),
            ),
        )
    ]


def _option_runs(users: int, runs: int) -> tuple[dict[str, list[bool]], float]:
    found: dict[str, list[bool]] = {name: [] for name in (*OPTIONS, "bootstrap")}
    clicking = []
    for place, count in batches(runs, 100, f"options {users:,}"):
        rng = generator("options", users, place)
        rates = Rates.drawn(rng, count)
        pair = [draw_users(rng, rates, runs=count, users=users) for _ in range(2)]
        sums = [sums_of(one.impressions, one.clicks) for one in pair]
        for run, (ours, theirs) in enumerate(zip(*sums, strict=True)):
            clicking.append(min(ours.k_units, theirs.k_units))
            for name in OPTIONS:
                result = contrast(ours, theirs, share=True, interval=name)
                if isinstance(result, RatioContrast):
                    found[name].append(result.p_value < 0.05)
            if (
                users <= BOOTSTRAPPED
                and run % 10 == 0
                and min(ours.k_units, theirs.k_units) >= MIN_EVENT_UNITS
            ):
                units = [(one.clicks[run], one.impressions[run]) for one in pair]
                lift = bootstrap_lift(*units, rng=rng, runs=REDRAWN)
                if isinstance(lift, BootstrapLift):
                    found["bootstrap"].append(not lift.interval.low <= 0 <= lift.interval.high)
    return found, float(np.median(clicking))


def measure_cuped(runs: int, *, users: Sequence[int] = (500, 3000)) -> list[Table]:
    """Hold CUPED to the aims of the plain test."""
    rows = []
    for metric in ("ctr", "coverage"):
        for size in users:
            on, off, gain = _cuped_runs(metric, size, runs)
            values = (
                share(on, **FALSE_POSITIVES),
                share([not one for one in on], **COVERAGE),
                share(off, **FALSE_POSITIVES),
                average(gain, unit="share"),
            )
            rows.append(Row((metric, f"{size:,}"), values, len(on)))
    return [
        Table(
            "CUPED: pre-period totals take out noise, not validity",
            ("metric", "users a variant"),
            ("false positives, on", "coverage, on", "false positives, off", "variance taken out"),
            tuple(rows),
            "Using what users did before makes intervals narrower and leaves the error rate where "
            "it was. How much narrower depends on how much one knows of the users: in CTR of a "
            "few impressions each, very little.",
            (
                (
                    "CTR 3 %. Covariates are the pre-period's numerator and denominator, drawn "
                    "with the user's own activity and taste, 8 impressions on average."
                ),
            ),
        )
    ]


def _cuped_runs(metric: str, users: int, runs: int) -> tuple[list[bool], list[bool], list[float]]:
    on, off, gain = [], [], []
    for place, count in batches(runs, max(1, 200_000 // users), f"CUPED {metric} {users:,}"):
        rng = generator("cuped", metric, users, place)
        pair = [_with_past(rng, metric, count, users) for _ in range(2)]
        for run in range(count):
            moments = {
                name: _moments(one[:, run]) for name, one in zip(("c", "t"), pair, strict=True)
            }
            adjustment = adjust_rates(moments, covariates=("xk", "xn"))
            names = {"control": "c", "treatment": "t"}
            result = contrast_adjusted(adjustment, moments, **names, share=True)
            plain = contrast(*(one.ratio_sums(0) for one in moments.values()), share=True)
            if isinstance(result, RatioContrast) and isinstance(plain, RatioContrast):
                on.append(result.p_value < 0.05)
                off.append(plain.p_value < 0.05)
                less = variance_reduction(adjustment, moments, **names)
                gain += [less] if isinstance(less, float) else []
    return on, off, gain


def _with_past(rng: np.random.Generator, metric: str, runs: int, users: int) -> np.ndarray:
    """Return k, n and the same of the pre-period for each user, shape (4, runs, users)."""
    shape = (runs, users)
    relative = draw_activity(rng, shape)
    if metric == "ctr":
        taste = draw_beta(rng, 0.03 * relative**BUSY_CLICK_LESS, TASTE, shape)
    else:
        taste = draw_beta(rng, 0.7, MOOD, shape)
    n = 1 + rng.poisson(ACTIVITY_MEAN * relative)
    past = rng.poisson(ACTIVITY_MEAN * relative)
    return np.stack([rng.binomial(n, taste), n, rng.binomial(past, taste), past])


def _moments(totals: np.ndarray) -> UnitMoments:
    """Return moments of one place: k, n, u and the two covariates."""
    users = totals.shape[1]
    k, n, past_k, past_n = totals.astype(float)
    rows = np.stack([k, n, np.ones(users), past_k, past_n])
    return UnitMoments(
        kinds=("k", "n", "u", "xk", "xn"),
        places=("all",),
        sums=exact(rows.sum(axis=1)).reshape(5, 1),
        products=exact(rows @ rows.T).reshape(5, 1, 5, 1),
        counts=(Counts(users, int((n > 0).sum()), int((k > 0).sum())),),
    )
