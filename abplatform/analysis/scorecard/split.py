"""Did units arrive where, and in the shares that, the plan says?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from abplatform.analysis.scorecard.looks import Run
from abplatform.analysis.scorecard.record import SrmCheck, Warned
from abplatform.analysis.scorecard.totals import FOREVER, Scope
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import chi_square

__all__ = ["check_split", "note_mismatches"]


def check_split(warehouse: Warehouse, scope: Scope, run: Run) -> SrmCheck:
    """Compare where units had their first exposure with the weights of that moment."""
    experiment = scope.experiment
    observed: dict[str, int] = {variant.name: 0 for variant in experiment.variants}
    expected = dict.fromkeys(observed, 0.0)
    values = {name: scope.values()[name] for name in ("experiment", "until")}
    for starts_at, ends_at, weights in _stretches(experiment, run):
        frame = warehouse.query(
            "portable/split_counts",
            **values,
            starts_at=_naive(starts_at),
            ends_at=_naive(ends_at),
        )
        counts = {row["variant"]: int(row["units"]) for row in frame.iter_rows(named=True)}
        total, whole = sum(counts.values()), sum(weights.values())
        for name in observed.keys() | counts.keys():
            observed[name] = observed.get(name, 0) + counts.get(name, 0)
            expected[name] = expected.get(name, 0.0) + total * weights.get(name, 0.0) / whole
    test = chi_square(observed, expected)
    if isinstance(test, Undetermined):
        return SrmCheck(observed, expected, None, None, "unavailable")
    return SrmCheck(
        test.observed, test.expected, test.p_value, None, "alarm" if test.alarm else "ok"
    )


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def _stretches(
    experiment: Experiment, run: Run
) -> list[tuple[datetime, datetime, Mapping[str, float]]]:
    """Return stretches of time with one set of weights; later phases with equal ones are joined."""
    stretches: list[tuple[datetime, datetime, Mapping[str, float]]] = []
    for phase in run.phases:
        if stretches and dict(stretches[-1][2]) == dict(phase.weights):
            continue
        if stretches:
            starts_at, _, weights = stretches[-1]
            stretches[-1] = (starts_at, phase.starts_at, weights)
        stretches.append((phase.starts_at, FOREVER, phase.weights))
    if not stretches:
        return [(_BEGINNING, FOREVER, experiment.weights)]
    first, last, weights = stretches[0]
    return [(min(first, _BEGINNING), last, weights), *stretches[1:]]


def note_mismatches(warehouse: Warehouse, scope: Scope, run: Run) -> list[Warned]:
    """Warn of units that the log puts into another variant than the hash; the log is believed."""
    units = mismatches = 0
    values = {name: scope.values()[name] for name in ("experiment", "until")}
    for phase, ends_at in zip(run.phases, _ends(run), strict=True):
        owned = [(name, held) for name, ranges in phase.variants.items() for held in ranges]
        if scope.experiment.assignment == "external" or not owned:
            continue
        row = warehouse.query(
            "portable/assignment_mismatches",
            **values,
            salt=f"experiment:{scope.experiment.key}",
            variants=[name for name, _ in owned],
            lows=[held.low for _, held in owned],
            highs=[held.high for _, held in owned],
            starts_at=_naive(phase.starts_at),
            ends_at=_naive(ends_at),
        ).row(0, named=True)
        units += int(row["units"])
        mismatches += int(row["mismatches"] or 0)
    if not mismatches:
        return []
    text = (
        f"{mismatches:,} of {units:,} units were logged in another variant than the assignment "
        "gives them; the log is believed, check that the service asks for the same key and unit"
    )
    return [Warned("assignment_mismatch", text)]


def _ends(run: Run) -> list[datetime]:
    """A phase lasts until the next one begins."""
    return [phase.starts_at for phase in run.phases[1:]] + [FOREVER][: len(run.phases)]


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
