"""Drafted mappings: what is guessed from a log's names and first rows, line by line."""

import re

import pytest

from abplatform.errors import IngestError
from abplatform.logs.landing import MappingText
from abplatform.logs.load import ingest
from abplatform.logs.mapping import check_columns, draft_mapping, parse_mapping
from abplatform.logs.mapping.synonyms import plain_name
from abplatform.logs.mapping.time_guess import guess_time

GERMAN = """\
Zeitpunkt;Kunde;Test;Variante;Werbemittel;Artikel;Kategorie;Geklickt
07.11.2026 22:53;cem16;Herbst;KI-Bild;KI-1;SKU4;Pflege/Lippen;1
25.10.2026 02:30;ANNA41;Herbst;Original;Or-1;SKU3;Pflege/Lippen;0
"""
ORDERS = """\
Bestellnummer;Datum;Nutzer;Umsatz;Währung
B1;07.11.2026;cem16;1.063,38;EUR
B2;08.11.2026;anna;7,00;EUR
"""


def drafted(tmp_path, text, *, name="export.csv"):
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    return path, draft_mapping(path)


def test_a_german_export_needs_only_its_zone(workspace, tmp_path):
    """Semicolons, a byte order mark, German names and local times are recognised."""
    path, text = drafted(tmp_path, GERMAN)
    assert "CHANGE-ME" not in text
    assert "names no offset: where is it local?" in text
    told = text.replace("zone: UTC", "zone: Europe/Berlin")
    mapping = parse_mapping(MappingText(told.encode()), path=tmp_path / "m.yaml")
    assert (mapping.event, mapping.clicked) == ("impression", "Geklickt")
    assert set(mapping.columns) == {
        *("category", "creative_id", "experiment", "product_id", "unit_id", "variant")
    }
    receipt = ingest(workspace, {}, files=[path], mapping=MappingText(told.encode()))
    assert (receipt.counts.accepted, receipt.counts.quarantined) == (3, 0)


def test_orders_with_decimal_commas_become_conversions(tmp_path):
    """Amounts in whole units are offered as money, with the mark that their cents have."""
    _, text = drafted(tmp_path, ORDERS, name="orders.csv")
    mapping = parse_mapping(MappingText(text.encode()), path=tmp_path / "m.yaml")
    assert mapping.event == "conversion"
    assert mapping.amounts == {"value_micros": "Umsatz"}
    assert mapping.decimal == ","
    assert mapping.columns["order_id"] == "Bestellnummer"
    assert mapping.constants == {"kind": "purchase"}


def test_every_guess_carries_a_comment(tmp_path):
    """No line but headings of lists stands without a word on why, or what it looks like."""
    for source in (GERMAN, ORDERS, "user,creative\nu1,c1\n"):
        _, text = drafted(tmp_path, source)
        for line in text.splitlines()[2:]:
            assert "#" in line or line in {"fields:", "constants:"}


def test_names_that_yaml_would_misread_are_quoted(tmp_path):
    """Columns called yes, 12 or with spaces, marks and quotes come back as they are."""
    _, text = drafted(
        tmp_path, 'Ad ID,User-Id,"say ""when""",Variant\na,u,2026-11-02T12:00:00Z,v\n'
    )
    mapping = parse_mapping(MappingText(text.encode()), path=tmp_path / "m.yaml")
    assert mapping.columns["creative_id"] == "Ad ID"
    assert mapping.columns["unit_id"] == "User-Id"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1730548800000"], "format: epoch_ms"),
        (["1730548800"], "seconds since 1970 are not read"),
        (["2026-11-02T12:00:00Z", "2026-11-02 12:00:00+01:00"], "RFC 3339 with its offset"),
        (["2026-W53", "202601"], "format: iso_week"),
        (["02.11.2026 12:00"], 'format: "%d.%m.%Y %H:%M", zone: UTC'),
        (["02/11/2026"], "or is the month first?"),
        (["02/11/2026", "13/11/2026"], 'format: "%d/%m/%Y", zone: UTC'),
        (["11/13/2026"], 'format: "%m/%d/%Y", zone: UTC'),
        (["2026-11-02 12:00:00.5"], '"%Y-%m-%d %H:%M:%S.%f"'),
        (["yesterday"], "is not recognised"),
        (
            ["2026-11-02T12:00Z", "2026-11-02 13:00"],
            "RFC 3339, but 1 of the first 2 have no offset",
        ),
        ([], "empty in the first rows"),
    ],
)
def test_moments_are_recognised_by_all_their_cells(cells, said):
    """A format is offered only where it reads every cell; a doubt is said."""
    assert said in guess_time(cells, "when")[0]


def test_a_file_that_is_no_utf8_says_how_to_mend_it(tmp_path):
    """A Latin-1 export is named as what it is."""
    path = tmp_path / "latin.csv"
    path.write_bytes(ORDERS.encode("latin-1"))
    with pytest.raises(IngestError, match="the column names are not UTF-8") as caught:
        draft_mapping(path)
    assert "iconv" in (caught.value.remedy or "")


def test_a_file_without_readable_rows_says_why(tmp_path):
    """A JSON array where lines belong is named as that."""
    path = tmp_path / "array.json"
    path.write_text('[{"a": 1}]')
    with pytest.raises(IngestError, match="no row can be read: not_json: the line is no object"):
        draft_mapping(path)


def test_a_column_that_stands_twice_is_refused(tmp_path):
    """Which of two columns of one name is meant is not guessed; others may stand twice."""
    path = tmp_path / "twice.csv"
    path.write_text("user,user,note,note\na,b,c,d\n")
    named = parse_mapping(
        MappingText(b"event: click\nfields: {impression_id: user}\ntime: {field: user}\n"),
        path=tmp_path / "m.yaml",
    )
    with pytest.raises(IngestError, match="two columns are called 'user'"):
        check_columns(path, named)
    path.write_text("user,note,note\na,c,d\n")
    check_columns(path, named)


def test_plain_names_fold_case_spaces_and_camels():
    """What exports write in many ways is one name."""
    written = ["Ad ID", "adId", "AD_ID", " ad-id "]
    assert {plain_name(name) for name in written} == {"ad_id"}
    assert re.fullmatch(r"\w+", plain_name("Währung (EUR)"))
