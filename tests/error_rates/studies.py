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


STUDIES: tuple[Study, ...] = (
    _simulated("rates", "ratio_study:measure_rates", 10_000, 300),
    _simulated("split", "split_study:measure_split", 10_000, 100),
    _simulated("pairs", "pairs_study:measure_pairs", 600, 180),
    _simulated("money", "ratio_study:measure_money", 10_000, 250),
)
