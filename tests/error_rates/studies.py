"""The list of studies, in the order of the page."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from tallies import Table

__all__ = ["STUDIES", "Study"]


@dataclass(frozen=True, slots=True)
class Study:
    """One study.

    Args:
        name: Its name and that of its result.
        place: ``module:function``, imported only when it runs, so that a result knows its sources.
        runs: Full count.
        seconds: About how long the full count takes; the longest start first.
        without: What the page says if there is no result.
    """

    name: str
    place: str
    runs: int
    seconds: float
    without: str

    def measure(self, runs: int) -> list[Table] | None:
        """Run it; None where it cannot be run here."""
        module, _, function = self.place.partition(":")
        run: Callable[[int], list[Table] | None] = getattr(import_module(module), function)
        return run(runs)


def _simulated(name: str, place: str, runs: int, seconds: float) -> Study:
    return Study(name, place, runs, seconds, f"`{name}` has no result yet.")


def _real(name: str, place: str, seconds: float) -> Study:
    return Study(
        name,
        place,
        1,
        seconds,
        f"`{name}` needs the data sets in `../shared/data`, which are not part of the repository.",
    )


STUDIES: tuple[Study, ...] = (
    _simulated("ratios", "ratio_study:measure_ratios", 10_000, 400),
    _simulated("options", "options_study:measure_options", 10_000, 130),
    _simulated("cuped", "options_study:measure_cuped", 10_000, 70),
    _simulated("looks_14", "looks_study:measure_looks_14", 10_000, 480),
    _simulated("looks_28", "looks_study:measure_looks_28", 10_000, 450),
    _simulated("power", "power_study:measure_power", 1_200, 80),
    _simulated("split", "split_study:measure_split", 10_000, 50),
    _simulated("discoveries", "discovery_study:measure_discoveries", 2_000, 350),
    _simulated("heterogeneity", "category_study:measure_heterogeneity", 4_000, 120),
    _simulated("winners", "category_study:measure_winners", 1_000, 230),
    _simulated("treatments", "families_study:measure_treatments", 6_000, 90),
    _simulated("guardrails", "families_study:measure_guardrails", 4_000, 180),
    _simulated("equivalence", "families_study:measure_equivalence", 6_000, 70),
    _simulated("curse", "families_study:measure_curse", 10_000, 30),
    _simulated("pairs", "pairs_study:measure_pairs", 400, 120),
    _real("upworthy", "real_study:measure_upworthy", 5),
    _real("asos", "real_study:measure_asos", 60),
)
