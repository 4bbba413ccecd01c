"""Which click, conversion, cost and opinion belongs to which exposure.

Everything here is a function of the accepted events and the experiments' windows, so it can be done
again at any time with the same result. An exposure is an impression or held decision in one of its
experiments; the view ``exposures`` has a row of each. Of most of them there is nothing more to say
than that they were shown; :func:`refresh_exposures` keeps the others in ``exposure_outcomes``.

* A click counts for its impression from 5 s before it (clocks differ) to ``attribution_window``
  after it, at most once. A click whose impression has not come waits as an orphan.
* A conversion that names an impression counts there; one that names a unit counts on the unit's
  first exposure. Refunds take value back within ``refund_window``.
* A unit is flagged as a bot when its user agent says so; when it has more than
  :data:`MOST_A_MINUTE` impressions in a minute, :data:`MOST_AN_HOUR` in an hour or
  :data:`MOST_A_DAY` in a day, since nobody looks at that many; or when at least
  :data:`FEWEST_QUICK` of its clicks, and most of them, came less than :data:`QUICK_MICROS` after
  their impression, since no hand is that fast. Flagged units are kept, with the moment of the
  event that showed it, so that a question about the past never sees a later flag.

``late`` sets aside what came when its rows were final, ``steps`` names the queries in order,
``refresh`` keeps their result current, ``then`` answers for the past, ``told`` writes the
experiments' facts.
"""

from abplatform.logs.attribution.late import Stretch, settle_late, waiting
from abplatform.logs.attribution.refresh import left_over, refresh_exposures
from abplatform.logs.attribution.steps import (
    CLICK_STEPS,
    EARLY_MICROS,
    FEWEST_QUICK,
    KEPT,
    MOST_A_DAY,
    MOST_A_MINUTE,
    MOST_AN_HOUR,
    QUICK_MICROS,
    STEPS,
    attribute_anew,
)
from abplatform.logs.attribution.then import aggregates_known_at, exposures_known_at, segment_of
from abplatform.logs.attribution.told import tell_experiments

__all__ = [
    "CLICK_STEPS",
    "EARLY_MICROS",
    "FEWEST_QUICK",
    "KEPT",
    "MOST_AN_HOUR",
    "MOST_A_DAY",
    "MOST_A_MINUTE",
    "QUICK_MICROS",
    "STEPS",
    "Stretch",
    "aggregates_known_at",
    "attribute_anew",
    "exposures_known_at",
    "left_over",
    "refresh_exposures",
    "segment_of",
    "settle_late",
    "tell_experiments",
    "waiting",
]
