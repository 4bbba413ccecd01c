from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.traffic.policies import Uniform, choose, mixed_with_floor, unit_draw
from abplatform.traffic.policies.remembering import MOST_LARGE, SMALL, remembered

CHANCES = st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda them: sum(them) > 0.01)


@dataclass(frozen=True)
class Fixed:
    """Probabilities that are given."""

    chances: tuple[float, ...]
    name: str = "fixed"
    snapshot: str | None = None

    def distribution(self, context, eligible):
        """Return them."""
        return self.chances


def test_draws_are_uniform_and_independent_of_each_other():
    """Draws of many decisions fill [0, 1) evenly, and two salts' draws are uncorrelated."""
    pairs = [(unit_draw("a", f"d{n}"), unit_draw("b", f"d{n}")) for n in range(10_000)]
    cells = [0] * 100
    for one, two in pairs:
        cells[int(one * 10) * 10 + int(two * 10)] += 1
    chi_square = sum((count - 100) ** 2 / 100 for count in cells)
    assert 40 < chi_square < 180  # 99 degrees of freedom: five standard deviations about


@given(CHANCES, st.floats(0, 1), st.text(max_size=20))
def test_a_choice_was_possible_and_its_propensity_is_the_mixtures(weights, floor, name):
    """What is chosen has a positive probability, which is floor/K + (1 - floor)·p."""
    total = sum(weights)
    chances = tuple(weight / total for weight in weights)
    eligible = tuple(f"c{number}" for number in range(len(chances)))
    choice = choose(Fixed(chances), {}, eligible, floor=floor, decision_id=name)
    index = eligible.index(choice.creative_id)
    expected = floor / len(chances) + (1 - floor) * chances[index]
    assert choice.propensity == pytest.approx(expected, abs=1e-12)
    assert choice.propensity > 0
    assert sum(choice.probabilities) == pytest.approx(1, abs=1e-9)


def test_frequencies_follow_the_probabilities():
    """Each creative is chosen as often as its probability says, within four standard errors."""
    chances, names, size = (0.7, 0.2, 0.1), ("a", "b", "c"), 6_000
    drawn = [
        choose(Fixed(chances), {}, names, floor=0.15, decision_id=f"d{n}") for n in range(size)
    ]
    for name, chance in zip(names, mixed_with_floor(chances, 0.15), strict=True):
        found = sum(choice.creative_id == name for choice in drawn)
        assert abs(found - size * chance) < 4 * (size * chance * (1 - chance)) ** 0.5


def test_nothing_eligible_chooses_nothing():
    """Without an eligible creative there is no choice."""
    assert choose(Uniform(), {}, (), floor=0.0, decision_id="d") is None


def test_uniform_gives_everyone_the_same():
    """K eligible creatives have 1/K each."""
    assert Uniform().distribution({}, ("a", "b", "c")) == (1 / 3,) * 3


def test_few_large_answers_are_remembered_and_many_small_ones():
    """What is asked again is not worked out again, but many creatives at once fill no memory."""
    asked = []

    def work_out(creatives, told):
        asked.append(told)
        return len(creatives)

    recall = remembered(work_out)
    small, large = ("one", "two"), tuple(f"c{n}" for n in range(SMALL + 1))
    for creatives in (small, large):
        for number in (*range(MOST_LARGE + 1), MOST_LARGE):
            assert recall(creatives, number) == len(creatives)
        assert asked == list(range(MOST_LARGE + 1))
        recall(creatives, 0)
        assert asked[-1] == (MOST_LARGE if creatives is small else 0)
        asked.clear()
