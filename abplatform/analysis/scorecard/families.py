"""Which lifts are judged together, and what is significant among them.

One family per metric, breakdown and contrast: the levels of a cut for one treatment, or, without a
cut, the treatments that share a control. At the registered decision look p-values are adjusted;
before it, and after a stop that was not planned, e-values are, because they hold whenever and
however often one looks.
"""

from __future__ import annotations

from collections.abc import Sequence

from abplatform.analysis.scorecard.lifts import Compared, decide_family, families
from abplatform.domain.experiment import Experiment
from abplatform.stats.categories import Correction

__all__ = ["decide_families"]


def decide_families(experiment: Experiment, compared: Sequence[Compared]) -> list[Compared]:
    """Adjust and judge every family; the bots' two views are of the same units and stay raw.

    Args:
        experiment: Names alpha.
        compared: Comparisons of the rows that the decision look rests on.
    """
    decided: list[Compared] = []
    for (_, cut, _), family in families(compared).items():
        if cut and cut.by == "bots":
            decided += family
            continue
        # Several treatments share one control and one error rate.
        correction: Correction = cut.correction if cut else "holm"
        decided += decide_family(
            family, correction=correction, alpha=experiment.analysis.alpha, tested=True
        )
    return decided
