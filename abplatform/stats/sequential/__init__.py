"""Daily looks at a running experiment that still keep its error rate.

The recipe, with :mod:`~abplatform.stats.sequential.looks` at its centre::

    plan = sequential_plan(alpha=0.05, days=range(7, 29), mde=0.03)    # before start, kept for good
    series = build_series(control, treatment, days=range(1, 22))       # moments of running totals
    rows = take_looks(plan, series, past)                              # past rows come back as is
    ruling = rule(rows)                                                # decided? by which row?

1.  A look is the end of a workspace day from ``min_runtime`` to ``max_runtime`` whose rows are
    final; one with fewer than 50 clicking units in a variant is skipped, unless it is the last.
2.  z is the unit-clustered Fieller statistic; information I = r̄²/s², about 1/variance of the log
    ratio (``series``).
3.  I_max = R·((z(1 - alpha/2) + z_power)/ln(1 + mde))², R from the planned boundaries (``plan``).
4.  t = min(1, max I/I_max), or day/max_runtime without an mde; A(t) may have been spent by t. A
    look that does not raise I by 0.1 % spends nothing and stops nothing (``clock``, ``spending``).
5.  The boundary b spends A(t_k) - A(t_{k-1}) among the paths still open: by recursion while
    increments are independent, else by Gaussian paths with the estimated correlation
    (``recursion``, ``paths``, ``boundaries``).
6.  A crossing decides, and so does the last look: the first at t = 1 or the day of max_runtime,
    which spends all that remains. Data that come later change no row.
7.  Any other stop is no last look: no row is added, and nothing is decided.
8.  Shown at every look: the repeated interval, the sequential p-value; at the decision the
    median-unbiased estimate (``inference``).

``anytime_plan`` and ``fixed_plan`` go through the same ``take_looks`` and ``rule``. Simulations
ask ``first_crossings`` about thousands of runs at once (``crossings``).
"""

from abplatform.stats.sequential.crossings import first_crossings
from abplatform.stats.sequential.inference import (
    DecisionEstimate,
    estimate_at_decision,
    repeated_interval,
    sequential_p,
)
from abplatform.stats.sequential.looks import LookRow, Ruling, rule, take_looks
from abplatform.stats.sequential.plan import (
    Plan,
    PlanKind,
    anytime_plan,
    fixed_information,
    fixed_plan,
    inflation_factor,
    plan_information,
    planned_boundaries,
    sequential_plan,
)
from abplatform.stats.sequential.series import (
    LookPoint,
    LookSeries,
    build_series,
    independent_series,
)
from abplatform.stats.sequential.spending import Spending

__all__ = [
    "DecisionEstimate",
    "LookPoint",
    "LookRow",
    "LookSeries",
    "Plan",
    "PlanKind",
    "Ruling",
    "Spending",
    "anytime_plan",
    "build_series",
    "estimate_at_decision",
    "first_crossings",
    "fixed_information",
    "fixed_plan",
    "independent_series",
    "inflation_factor",
    "plan_information",
    "planned_boundaries",
    "repeated_interval",
    "rule",
    "sequential_p",
    "sequential_plan",
    "take_looks",
]
