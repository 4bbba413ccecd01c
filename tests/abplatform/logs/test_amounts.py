"""Money that a shop exports in whole units, with points or commas, becomes millionths."""

import math
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.domain.events import EventRejected
from abplatform.errors import MappingError
from abplatform.logs.landing import MappingText
from abplatform.logs.load import ingest
from abplatform.logs.mapping import parse_mapping
from abplatform.logs.mapping.amounts import read_amount

MAPPING = """\
event: conversion
fields: {unit_id: Kunde, currency: Währung}
constants: {kind: purchase}
money: {value: Umsatz, decimal: ","}
time: {field: Zeit}
"""


@pytest.mark.parametrize(
    ("cell", "decimal", "micros"),
    [
        ("63,38", ",", 63_380_000),
        ("1.234,50", ",", 1_234_500_000),
        ("1 234,5", ",", 1_234_500_000),
        ("-12,00", ",", -12_000_000),
        ("12", ",", 12_000_000),
        ("1,234.50", ".", 1_234_500_000),
        ("0.0000005", ".", 1),
        ("-0.0000005", ".", -1),
        (63.38, ",", 63_380_000),
        (63, ".", 63_000_000),
        (" 9.99 ", ".", 9_990_000),
    ],
)
def test_amounts_are_read_as_written(cell, decimal, micros):
    """Points, commas, spaces between thousands and numbers of Parquet give whole millionths."""
    assert read_amount(cell, "total", decimal=decimal) == micros


@pytest.mark.parametrize(
    ("cell", "decimal"),
    [
        ("63,38", "."),
        ("63.38", ","),
        ("12,34,567.00", "."),
        ("12 €", "."),
        ("1e3", "."),
        ("", "."),
        ("--1", "."),
        (math.inf, "."),
        ("٣", "."),
    ],
)
def test_what_could_mean_something_else_is_refused(cell, decimal):
    """A comma where a point is said is no amount: guessing would be wrong a hundredfold."""
    with pytest.raises(EventRejected, match="no amount such as"):
        read_amount(cell, "total", decimal=decimal)


@given(
    st.decimals(-(10**9), 10**9, places=4, allow_nan=False),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "")]),
)
def test_written_amounts_come_back(amount, marks):
    """Whatever the marks, an amount that is written with them is read as it was."""
    decimal, thousands = marks
    text = f"{amount:,.4f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
    exact = (amount * 10**6).to_integral_value(rounding=ROUND_HALF_UP)
    assert read_amount(text, "total", decimal=decimal) == int(Decimal(exact))


def test_a_shop_s_export_becomes_conversions(workspace, facts, rows_of, tmp_path):
    """A semicolon file with decimal commas comes in; a cell that is no amount says so."""
    path = tmp_path / "orders.csv"
    lines = ["Kunde;Zeit;Umsatz;Währung", "a;2026-11-02T12:00:00Z;1.063,38;USD"]
    lines += ["b;2026-11-02T12:00:00Z;12.5;USD", "c;2026-11-02T12:00:00Z;;USD"]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    receipt = ingest(workspace, facts, files=[path], mapping=MappingText(MAPPING.encode()))
    assert receipt.reasons == {"wrong_type": 1, "missing_field": 1}
    detail = receipt.examples["wrong_type"].detail
    assert detail == "the column 'Umsatz' is '12.5', no amount such as 1234,50"
    paid = "SELECT unit_id, paid_micros FROM conversions"
    assert rows_of(paid) == [("a", 1_063_380_000)]


@pytest.mark.parametrize(
    ("money", "said"),
    [
        ("{cost: Umsatz}", "2:9: `money`: the event has no amount 'cost'"),
        ("{value: Umsatz, decimal: ;}", "no cents stand behind ';'"),
        ("Umsatz", "write money: {value: COLUMN}"),
    ],
)
def test_wrong_money_is_refused_with_its_place(money, said, tmp_path):
    """A word that the event has not, and a mark that nobody writes, are named."""
    text = MAPPING.replace('money: {value: Umsatz, decimal: ","}\n', "")
    text = text.replace("event: conversion\n", f"event: conversion\nmoney: {money}\n")
    with pytest.raises(MappingError) as caught:
        parse_mapping(MappingText(text.encode()), path=tmp_path / "m.yaml")
    assert said.lower() in str(caught.value).lower()


def test_a_field_is_filled_once(tmp_path):
    """Money and fields that fill the same field contradict each other."""
    text = MAPPING.replace("{unit_id: Kunde,", "{unit_id: Kunde, value_micros: x,")
    with pytest.raises(MappingError, match="`fields` fills value_micros too"):
        parse_mapping(MappingText(text.encode()), path=tmp_path / "m.yaml")
