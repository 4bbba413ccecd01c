import hashlib

import numpy as np
import polars as pl
import pytest
import xxhash

from abplatform.errors import TrainingError
from reward.dataset import deal_folds, join_tables, read_pairs
from reward.pictures import pictures_of
from reward.words import describe_product, taste_ids, word_ids


def change(drawn, tmp_path, **columns):
    frame = pl.read_parquet(drawn.pairs).with_columns(**columns)
    path = tmp_path / "changed.parquet"
    frame.write_parquet(path)
    return path


def first_row(value, column):
    return pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value)).otherwise(pl.col(column))


def test_rows_become_arrays(drawn):
    """Every row points at its two creatives, with its label, weight and counts."""
    frame = pl.read_parquet(drawn.pairs)
    table = read_pairs(drawn.pairs)
    assert len(table) == len(frame) == 24 * 6
    assert len(table.items) == 24 * 4
    for row, pair in enumerate(frame.iter_rows(named=True)):
        chosen = table.chosen[row]
        assert table.items[chosen].image == pair["chosen_image"]
        assert table.items[table.rejected[row]].creative == pair["rejected_creative"]
        assert table.p_win[row] == pair["p_win"]
        assert table.clicks[chosen] == pair["clicks_chosen"]
        assert table.impressions[chosen] == 20_000


def test_counts_of_two_weeks_add_up(drawn, tmp_path):
    """A creative shown in two experiments has the clicks of both, each counted once."""
    path = change(
        drawn, tmp_path, week=pl.lit("2026-W50"), pair_id=pl.lit("again-") + pl.col("pair_id")
    )
    once, twice = read_pairs(drawn.pairs), join_tables([read_pairs(drawn.pairs), read_pairs(path)])
    assert len(twice.items) == len(once.items)
    by_name = dict(zip([one.creative for one in once.items], once.clicks, strict=True))
    for item, clicks in zip(twice.items, twice.clicks, strict=True):
        assert clicks == 2 * by_name[item.creative]


def test_folds_keep_products_whole(drawn):
    """No product has pairs in two folds, folds are of one size, and only the seed deals them."""
    table = read_pairs(drawn.pairs)
    product = table.frame["product_id"].to_numpy()
    folds = deal_folds(table, count=4, seed=3)
    assert np.bincount(folds).tolist() == [36, 36, 36, 36]
    for name in set(product):
        assert len(set(folds[product == name])) == 1
    first = np.random.default_rng(0).random(len(table)) < 0.5
    shuffled = join_tables([table.keep(~first), table.keep(first)])
    fold_of = dict(zip(table.pair_ids, folds, strict=True))
    again = deal_folds(shuffled, count=4, seed=3)
    assert [fold_of[name] for name in shuffled.pair_ids] == again.tolist()
    assert (deal_folds(table, count=4, seed=4) != folds).any()


def test_products_that_share_a_picture_belong_together(drawn, tmp_path):
    """Two products with one picture in common are one component."""
    frame = pl.read_parquet(drawn.pairs)
    shared = frame["chosen_image"][0]
    path = change(
        drawn,
        tmp_path,
        chosen_image=pl.when(pl.col("product_id") == "p001")
        .then(pl.lit(shared))
        .otherwise(pl.col("chosen_image")),
    )
    table = read_pairs(path)
    product = np.array(table.frame["product_id"].to_list())
    assert len(set(table.component)) == 23
    joined = table.component[np.isin(product, ["p000", "p001"])]
    assert len(set(joined)) == 1


def test_contradictions_are_counted(drawn, tmp_path):
    """Two creatives that are preferred both ways round count as one contradiction."""
    frame = pl.read_parquet(drawn.pairs)
    assert read_pairs(drawn.pairs).contradictions == 0
    sides = {"chosen": "rejected", "rejected": "chosen"}
    names = {
        f"{side}_{what}": f"{other}_{what}"
        for side, other in sides.items()
        for what in ("creative", "image")
    }
    turned = frame.head(3).rename(names).select(frame.columns)
    turned = turned.with_columns(pair_id=pl.lit("turned-") + pl.col("pair_id"))
    path = tmp_path / "both.parquet"
    pl.concat([frame, turned]).write_parquet(path)
    assert read_pairs(path).contradictions == 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"p_win": first_row(float("nan"), "p_win")}, "no p_win between 0 and 1"),
        ({"p_win": first_row(None, "p_win")}, "no p_win between 0 and 1"),
        ({"p_win": first_row(1.5, "p_win")}, "no p_win between 0 and 1"),
        ({"p_win": pl.lit("high")}, "p_win holds something that is no number"),
        ({"title": pl.concat_list("title", "title")}, "title holds something that is no text"),
        ({"title": pl.lit(b"\xff\xfe")}, "title holds something that is no text"),
        ({"weight": first_row(-1.0, "weight")}, "no weight of 0 or more"),
        ({"chosen_creative": pl.col("rejected_creative")}, "with itself"),
        ({"pair_id": pl.lit("one")}, "occurs more than once"),
        ({"chosen_image": pl.lit(None, pl.String)}, "neither image nor text"),
        ({"clicks_chosen": pl.lit(30_000)}, "more clicks than impressions"),
    ],
)
def test_impossible_pairs_are_refused(drawn, tmp_path, columns, message):
    """A row that cannot be is refused by its id, with the file and what to do."""
    with pytest.raises(TrainingError, match=message) as caught:
        read_pairs(change(drawn, tmp_path, **columns))
    assert caught.value.path == tmp_path / "changed.parquet"
    assert caught.value.remedy


def test_unreadable_files_are_refused(drawn, tmp_path):
    """No file, no Parquet, no rows and no columns are four clear errors."""
    empty, bare, text = (tmp_path / name for name in ("empty.parquet", "bare.parquet", "x.parquet"))
    frame = pl.read_parquet(drawn.pairs)
    frame.clear().write_parquet(empty)
    frame.drop("p_win", "product_id").write_parquet(bare)
    text.write_text("pair_id,p_win\n")
    for path, message in (
        (tmp_path / "none.parquet", "no such file"),
        (text, "cannot be read"),
        (empty, "no pairs in the file"),
        (bare, "columns are missing: product_id, p_win"),
    ):
        with pytest.raises(TrainingError, match=message):
            read_pairs(path)


def test_missing_and_changed_images_are_named(drawn, tmp_path):
    """A missing image is named; an image whose bytes changed is refused."""
    table = read_pairs(drawn.pairs)
    for source in drawn.images.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    name = table.items[0].image
    (tmp_path / f"{name}.png").write_bytes(b"changed")
    with pytest.raises(TrainingError, match="bytes"):
        pictures_of(table, tmp_path, size=32)
    (tmp_path / f"{name}.png").unlink()
    with pytest.raises(TrainingError, match=rf"1 of 96 images are missing: {name}"):
        pictures_of(table, tmp_path, size=32)
    (tmp_path / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError):
        pictures_of(table, tmp_path, size=32)


def test_a_broken_picture_is_an_error(drawn, tmp_path):
    """Bytes that hash right but are no picture are an error with the file's name."""
    data = b"no picture at all"
    name = hashlib.sha256(data).hexdigest()
    (tmp_path / f"{name}.webp").write_bytes(data)
    path = tmp_path / "pairs.parquet"
    row = pl.read_parquet(drawn.pairs).head(1)
    row = row.with_columns(chosen_image=pl.lit(name), rejected_image=pl.lit(name))
    row.write_parquet(path)
    with pytest.raises(TrainingError, match="cannot be read"):
        pictures_of(read_pairs(path), tmp_path, size=32)


def test_words_are_hashed_alike_everywhere():
    """Ids come from the text alone: these stay the same in every process and version."""
    ids = word_ids(["Tea for Two", ""], words=4, parts=4, buckets=1000)
    assert ids.shape == (2, 4, 4)
    assert ids[0, 0].tolist() == word_ids(["TEA"], words=1, parts=4, buckets=1000)[0, 0].tolist()
    assert (ids[1] == 0).all()
    assert (ids[0, 3] == 0).all()
    hashed = [xxhash.xxh3_64_intdigest(part, seed=0) for part in (b"tea", b"<te", b"tea", b"ea>")]
    assert ids[0, 0].tolist() == [1 + number % 999 for number in hashed]
    levels = taste_ids(["beauty/lip", "beauty"], ["", ""], buckets=1000)
    assert levels[0, 0] == levels[1, 0] != levels[0, 1] != 0


def test_products_are_told_in_one_line():
    """Category, title and attributes join into one text, whatever is missing."""
    told = describe_product("Paper lamp", "home/lamp", '{"watts": 40, "colour": "white"}')
    assert told == "home lamp Paper lamp colour white watts 40"
    assert describe_product("", "", "") == ""


def test_rounding_is_forgiven_and_nothing_else(drawn, tmp_path):
    """A p_win one rounding error above 1 counts as 1; one a millionth above is refused."""
    near = change(drawn, tmp_path, p_win=first_row(1 + 2e-16, "p_win"))
    assert read_pairs(near).p_win[0] == 1
    far = change(drawn, tmp_path, p_win=first_row(1 + 1e-6, "p_win"))
    with pytest.raises(TrainingError, match="no p_win between 0 and 1"):
        read_pairs(far)
