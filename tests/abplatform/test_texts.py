"""Texts of creative sets on the disk, and when they expire."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from abplatform.creatives.texts import (
    TEXTS_FILE,
    AdText,
    append_texts,
    price_text,
    read_texts,
    usable_texts,
)
from abplatform.domain.catalog import Category, Product
from abplatform.errors import CatalogueError

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MUG = Product("mug", "Mug", Category("home/mug"), "m.png", price=24.0, currency="EUR", rating=4.5)
PLAIN = AdText("a" * 64, "mug", "A mug.", "en", "gpt2/1")
PRICED = replace(PLAIN, text="Mug, 24 EUR.", quotes={"price": "24 EUR"}, scores={"rank": 1.5})


def test_texts_are_kept_once_and_in_order(tmp_path):
    """Appending again changes nothing; a newer row of a text replaces the older one."""
    assert read_texts(tmp_path) == {}
    assert append_texts(tmp_path, [PLAIN, PRICED]) == 2
    before = (tmp_path / TEXTS_FILE).read_bytes()
    assert append_texts(tmp_path, [PLAIN, PRICED]) == 0
    assert (tmp_path / TEXTS_FILE).read_bytes() == before
    ended = replace(PLAIN, valid_until=NOW)
    assert append_texts(tmp_path, [ended]) == 1
    assert read_texts(tmp_path) == {"a" * 64: (ended, PRICED)}


def test_a_torn_row_is_cut_off_and_a_strange_one_is_named(tmp_path):
    """Half a row was never kept; a row that cannot be read is named by its line."""
    append_texts(tmp_path, [PLAIN])
    path = tmp_path / TEXTS_FILE
    path.write_bytes(path.read_bytes() + b'{"creative_id": "b')
    assert append_texts(tmp_path, [PRICED]) == 1
    assert read_texts(tmp_path) == {"a" * 64: (PLAIN, PRICED)}
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(CatalogueError, match=r"texts.jsonl:3: "):
        read_texts(tmp_path)


@pytest.mark.parametrize(
    ("changed", "usable"),
    [
        ({}, True),
        ({"price": 25.0}, False),
        ({"currency": "USD"}, False),
        ({"price": None}, False),
        ({"rating": 3.0}, True),
        ({"title": "Other"}, True),
    ],
)
def test_a_text_ends_with_the_fact_that_it_quotes(changed, usable):
    """A new price expires texts that quote the old one, and no others."""
    product = replace(MUG, **changed)
    assert (PRICED in usable_texts([PLAIN, PRICED], product, NOW)) == usable
    assert PLAIN in usable_texts([PLAIN, PRICED], product, NOW)


def test_a_text_ends_at_its_last_moment_and_has_to_fit():
    """From ``valid_until`` on a text has expired; one that is too long is left out."""
    ending = replace(PLAIN, valid_until=NOW)
    assert usable_texts([ending], MUG, NOW - timedelta(seconds=1)) == (ending,)
    assert usable_texts([ending], MUG, NOW) == ()
    assert usable_texts([PLAIN, PRICED], MUG, NOW, longest=6) == (PLAIN,)
    assert price_text(MUG) == "24 EUR"
