"""Why a creative has its score, against scores of changed creatives."""

from dataclasses import replace

import numpy as np
import pytest

from reward.attribution import attribute
from reward.dataset import read_pairs, table_from_frame
from reward.pictures import pictures_of
from reward.score import RewardScorer
from reward.train import train


@pytest.fixture(scope="module")
def seen(drawn, tiny):
    table = read_pairs(drawn.pairs)
    pictures = pictures_of(table, drawn.images, size=32)
    return RewardScorer(train(table, pictures, tiny(epochs=8)).model), table, pictures


def test_regions_add_up_to_the_score(seen):
    """What regions add is the whole difference to a plain picture, within two hundredths."""
    scorer, table, pictures = seen
    for number in (0, 7, 20):
        found = attribute(scorer, table.items[number], pictures[number])
        assert found.score == scorer.score_items([table.items[number]], pictures[number][None])[0]
        plain = np.broadcast_to(pictures[number].mean((0, 1)), (32, 32, 3)).astype(np.uint8)
        expected = scorer.score_items([table.items[number]], plain[None])[0]
        assert found.plain == pytest.approx(expected, abs=0.05)
        assert found.regions.sum() == pytest.approx(found.score - found.plain, abs=0.02)


def test_a_change_in_one_corner_is_found_there(seen):
    """A picture that is plain but for one corner owes what differs to that corner."""
    scorer, table, _ = seen
    picture = np.full((32, 32, 3), 128, dtype=np.uint8)
    picture[:8, :8] = (250, 30, 10)
    found = attribute(scorer, table.items[0], picture)
    share = np.abs(found.regions)
    assert share[:2, :2].sum() > 0.5 * share.sum()
    assert np.unravel_index(share.argmax(), share.shape) <= (1, 1)


def test_words_that_sell_are_found(drawn, tiny):
    """Left out, the word that always wins costs most; an only word has nothing to lose."""
    frame = read_pairs(drawn.pairs).frame
    numbers = [str(number) for number in range(len(frame))]
    texts = {
        "chosen_text": [f"a golden thing {number}" for number in numbers],
        "rejected_text": [f"a plain thing {number}" for number in numbers],
    }
    blank = dict.fromkeys(("chosen_image", "rejected_image"), [""] * len(frame))
    columns = {name: np.array(values) for name, values in (texts | blank).items()}
    table = table_from_frame(frame.with_columns(**columns))
    scorer = RewardScorer(train(table, None, tiny(epochs=6, members=1)).model)
    item = replace(table.items[0], text="a golden thing")
    found = attribute(scorer, item, None)
    assert found.regions is None
    words = dict(found.words)
    assert max(words, key=words.get) == "golden"
    left = scorer.score_items([replace(item, text="a  thing")], None)[0]
    assert words["golden"] == pytest.approx(found.score - left, abs=1e-4)
    assert attribute(scorer, replace(item, text="golden"), None).words == (("golden", 0.0),)
