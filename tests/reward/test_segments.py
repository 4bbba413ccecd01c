"""Audience segments that like different pictures."""

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from reward.dataset import read_pairs
from reward.evaluate import hits
from reward.pictures import pictures_of
from reward.score import RewardScorer
from reward.train import train


def split_audience(path, out):
    """Write each pair twice: segment ``warm`` as it is, segment ``cold`` with the winner turned."""
    rows = pl.read_parquet(path)
    turned = {"chosen": "rejected", "rejected": "chosen"}
    swapped = rows.rename(
        {
            name: name.replace(side, turned[side])
            for name in rows.columns
            for side in turned
            if side in name
        }
    ).select(rows.columns)
    both = [
        part.with_columns(segment=pl.lit(name), pair_id=pl.col("pair_id") + name)
        for name, part in (("warm", rows), ("cold", swapped))
    ]
    pl.concat(both).write_parquet(out)


@pytest.mark.slow
def test_segments_may_like_the_opposite(tmp_path, draw_week, tiny):
    """The same pictures are ranked the other way round; without segments nobody could know."""
    drawn = draw_week(tmp_path, products=32)
    split_audience(drawn.pairs, tmp_path / "split.parquet")
    table = read_pairs(tmp_path / "split.parquet")
    assert table.contradictions == 0
    pictures = pictures_of(table, drawn.images, size=32)
    scorer = RewardScorer(train(table, pictures, tiny(epochs=40, learning_rate=5e-3)).model)
    clear = table.p_win > float(ndtr(1.96))
    right = hits(scorer.predict(table, pictures), table.p_win)
    of_warm = (table.frame["segment"] == "warm").to_numpy()
    assert right[clear & of_warm].mean() > 0.75
    assert right[clear & ~of_warm].mean() > 0.75


def test_everyone_is_no_segment(tmp_path, draw_week, tiny):
    """Pairs without the column, or with it empty, train the same model."""
    drawn = draw_week(tmp_path, products=8, creatives=3)
    empty = tmp_path / "empty.parquet"
    pl.read_parquet(drawn.pairs).with_columns(segment=pl.lit(None, dtype=pl.String)).write_parquet(
        empty
    )
    said = []
    for path in (drawn.pairs, empty):
        table = read_pairs(path)
        pictures = pictures_of(table, drawn.images, size=32)
        model = train(table, pictures, tiny(epochs=1)).model
        said.append(RewardScorer(model).predict(table, pictures))
    np.testing.assert_array_equal(*said)
