"""What would another policy have earned? Answered from the impressions of the one that ran.

====================  ==============================================================================
``logged``            impressions with their probabilities, out of the store
``targets``           the policy that is asked about: one of the platform's, or a file's
``places``            shelves and positions, and what the policy does there
``reward_model``      cross-fitted click rates for the estimators that use a model
``gates``             when the log cannot answer, and the number that says so
``replay``            are the logged probabilities those of the policies that ran?
``evaluation``        all of it together
====================  ==============================================================================

The estimators are in :mod:`abplatform.stats.off_policy`.
"""

from abplatform.analysis.off_policy.evaluation import Evaluation, evaluate
from abplatform.analysis.off_policy.gates import Gate
from abplatform.analysis.off_policy.logged import LoggedChoices, read_choices, read_rate
from abplatform.analysis.off_policy.targets import (
    BelievedRates,
    PolicyTarget,
    Target,
    read_target,
)

__all__ = [
    "BelievedRates",
    "Evaluation",
    "Gate",
    "LoggedChoices",
    "PolicyTarget",
    "Target",
    "evaluate",
    "read_choices",
    "read_rate",
    "read_target",
]
