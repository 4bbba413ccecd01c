"""When a log cannot say what another policy would have earned, and the number that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from abplatform.stats.off_policy import WeightDiagnosis

__all__ = ["LARGEST_SHARE", "LEAST_EFFECTIVE", "LEAST_EFFECTIVE_SHARE", "Gate", "judge_weights"]

LEAST_EFFECTIVE = 200
"""Below so many effective rows there is no result."""

LEAST_EFFECTIVE_SHARE = 0.01
"""Nor below this share of the log's rows."""

LARGEST_SHARE = 0.05
"""No row may carry more of the weights."""

MEAN_ERRORS = 3.0
"""Standard errors by which the mean weight may miss 1."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition and how the log meets it.

    Args:
        name: A stable word.
        passed: None where the log has nothing to judge it by; that refuses nothing.
        value: The number.
        bound: What it is held against.
        sentence: Both in words.
    """

    name: str
    passed: bool | None
    value: float | None
    bound: float
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "passed": self.passed,
            "value": self.value,
            "bound": self.bound,
            "sentence": self.sentence,
        }


def judge_weights(found: WeightDiagnosis) -> tuple[Gate, ...]:
    """Return the gates that the weights alone decide.

    Args:
        found: What is known of them.
    """
    miss, allowed = abs(found.mean - 1), MEAN_ERRORS * found.se
    needed = max(float(LEAST_EFFECTIVE), LEAST_EFFECTIVE_SHARE * found.rows)
    return (
        Gate(
            "mean_weight",
            miss <= allowed + 1e-12,
            miss,
            allowed,
            f"the mean weight is {found.mean:.4f} with a standard error of {found.se:.4f}; right "
            f"probabilities make it 1, up to {MEAN_ERRORS:g} standard errors",
        ),
        Gate(
            "effective_sample",
            found.effective >= needed,
            found.effective,
            needed,
            f"the weights leave {found.effective:,.0f} effective rows of {found.rows:,}; "
            f"{needed:,.0f} are needed",
        ),
        Gate(
            "largest_weight",
            found.largest_share <= LARGEST_SHARE,
            found.largest_share,
            LARGEST_SHARE,
            f"one row carries {found.largest_share:.1%} of all weight; "
            f"{LARGEST_SHARE:.0%} is the most",
        ),
    )
