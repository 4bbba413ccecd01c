import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from abplatform.creatives import (
    append_lineage,
    read_catalogue,
    read_cutout,
    read_lineage,
    read_master,
    save_master,
)
from abplatform.domain.catalog import Lineage, Placement
from abplatform.errors import CatalogueError

HEADER = "product_id,image,title,category,attributes\n"

LINEAGE = Lineage(
    creative_id="c0",
    product_id="lip-1",
    source="generated",
    image_sha256="i0",
    cutout_sha256="k0",
    placement=Placement(1, 2, 3, 4),
    scene={"surface": "oak"},
    prompt="oak surface",
    seed=2**53 - 1,
    renderer="studio/1",
    checkpoints={"reward": "abc"},
    inspector={"usable": True, "match": False, "scores": {"fit": 0.4}, "reasons": ["x"]},
    text="Süß 口红",
    week="2026-W48",
)


def pictures(channels):
    return st.tuples(st.integers(1, 24), st.integers(1, 24)).flatmap(
        lambda side: arrays(np.uint8, (*side, channels))
    )


@settings(max_examples=25, deadline=None)
@given(pixels=pictures(3), cutout=pictures(4))
def test_masters_come_back_bit_by_bit(tmp_path_factory, pixels, cutout):
    """What is saved is read back exactly, the colours under full transparency too."""
    root = tmp_path_factory.mktemp("root")
    creative_id, cutout_sha256 = save_master(root, pixels, cutout)
    assert np.array_equal(read_master(root, creative_id), pixels)
    assert np.array_equal(read_cutout(root, cutout_sha256), cutout)


def test_a_creative_is_named_by_its_bytes(tmp_path):
    """The id is the sha256 of the file, and saving the same pixels again adds no file."""
    pixels, cutout = np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)
    first = save_master(tmp_path, pixels, cutout)
    assert save_master(tmp_path, pixels, cutout) == first
    files = sorted(tmp_path.iterdir())
    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == [
        file.stem for file in files
    ]
    assert len(files) == 2


def test_changed_bytes_are_noticed(tmp_path):
    """A master whose bytes no longer fit its name is refused."""
    creative_id, _ = save_master(
        tmp_path, np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)
    )
    path = tmp_path / f"{creative_id}.webp"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CatalogueError, match="bytes have changed"):
        read_master(tmp_path, creative_id)
    path.unlink()
    with pytest.raises(CatalogueError, match="missing"):
        read_master(tmp_path, creative_id)


def test_pixels_of_another_kind_are_refused(tmp_path):
    """Only uint8 pixels with the right number of channels become a master."""
    with pytest.raises(CatalogueError, match="uint8"):
        save_master(tmp_path, np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8))


def test_lineage_is_kept_once(tmp_path):
    """Rows come back as they were written, in order; a second append of them adds nothing."""
    rows = [LINEAGE, replace(LINEAGE, creative_id="c1", scene={}, text=None, week=None)]
    assert append_lineage(tmp_path, rows) == 2
    assert append_lineage(tmp_path, [*rows, replace(LINEAGE, creative_id="c2")]) == 1
    assert append_lineage(tmp_path, [replace(LINEAGE, seed=0)]) == 0
    known = read_lineage(tmp_path)
    assert list(known) == ["c0", "c1", "c2"]
    assert [known["c0"], known["c1"]] == rows


def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path):
    """A torn last row counts as never written, and the next append heals the file."""
    append_lineage(tmp_path, [LINEAGE])
    path = tmp_path / "lineage.jsonl"
    path.write_bytes(path.read_bytes() + b'{"creative_id": "to')
    assert list(read_lineage(tmp_path)) == ["c0"]
    append_lineage(tmp_path, [replace(LINEAGE, creative_id="c1")])
    assert list(read_lineage(tmp_path)) == ["c0", "c1"]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_broken_lineage_row_is_named(tmp_path):
    """A row that is no lineage is reported by file and line."""
    append_lineage(tmp_path, [LINEAGE])
    path = tmp_path / "lineage.jsonl"
    path.write_text(path.read_text() + '{"creative_id": "c9"}\n')
    with pytest.raises(CatalogueError) as caught:
        read_lineage(tmp_path)
    assert caught.value.place == f"{path}:2"


def write(tmp_path, text):
    path = tmp_path / "products.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_catalogue_is_a_folder_a_csv_or_a_parquet(tmp_path):
    """The three forms of one catalogue give the same products."""
    row = {
        "product_id": "a",
        "image": "a.png",
        "title": "口红",
        "category": "beauty/lip",
        "attributes": '{"shade": "red", "ml": 3}',
        "price": "12.5",
        "orders": "7",
    }
    with (tmp_path / "products.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    pl.DataFrame([{**row, "price": 12.5, "orders": 7}]).write_parquet(tmp_path / "p.parquet")
    found = [
        read_catalogue(path).products
        for path in (tmp_path, tmp_path / "products.csv", tmp_path / "p.parquet")
    ]
    assert found[0] == found[1] == found[2]
    assert found[0][0].attributes == {"shade": "red", "ml": "3"}
    assert (found[0][0].price, found[0][0].orders) == (12.5, 7)


def test_every_refused_row_says_where_and_why(tmp_path):
    """A row without a category, id or image, a repeated id or bad facts is refused by its line."""
    path = write(
        tmp_path,
        HEADER
        + 'a,a.png,"two\nlines",x/y,\n'
        + "b,b.png,B,,\n"
        + "c,c.png,C,x//y,\n"
        + ",d.png,D,x,\n"
        + "a,e.png,E,x,\n"
        + "f,,F,x,\n"
        + "g,g.png,G,x,{nope\n"
        + "h,h.png,H,x,[1]\n",
    )
    catalogue = read_catalogue(path)
    assert [product.title for product in catalogue.products] == ["two lines"]
    assert [(refusal.line, refusal.reason) for refusal in catalogue.refused] == [
        (4, "no_category"),
        (5, "no_category"),
        (6, "no_product_id"),
        (7, "duplicate_product"),
        (8, "no_image"),
        (9, "bad_attributes"),
        (10, "bad_attributes"),
    ]
    assert str(catalogue.refused[0]).startswith(f"{path}:4: product 'b' has no category")


@pytest.mark.parametrize("price", ["cheap", "-1", "nan", "inf"])
def test_a_price_that_is_no_number_is_refused(tmp_path, price):
    """Numbers are finite and not negative."""
    text = "product_id,image,title,category,price\n" + f"a,a.png,A,x,{price}\n"
    assert read_catalogue(write(tmp_path, text)).refused[0].reason == "bad_price"


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "lacks product_id"), (HEADER, "empty"), ("product_id,title\na,b\n", "lacks image")],
)
def test_a_catalogue_without_products_is_an_error(tmp_path, text, words):
    """An empty catalogue or one without the columns is refused as a whole."""
    with pytest.raises(CatalogueError, match=words):
        read_catalogue(write(tmp_path, text))


def test_a_missing_catalogue_is_an_error(tmp_path):
    """A folder without products.csv is refused with what to put there."""
    with pytest.raises(CatalogueError, match=r"products\.csv"):
        read_catalogue(tmp_path)


def test_titles_are_only_visible_text(tmp_path):
    """Control, zero-width and bidirectional characters go, and the length is bounded."""
    title = "Red\u200b\u202e lip\x07stick\u00a0  " + "x" * 10_000
    path = write(tmp_path, HEADER + f'a,a.png,"{title}",x,\n')
    cleaned = read_catalogue(path).products[0].title
    assert cleaned.startswith("Red lipstick xxx")
    assert len(cleaned) == 300
