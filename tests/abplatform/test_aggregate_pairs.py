"""Tables of past tests on their way to preference pairs."""

import json
import sys

import polars as pl
import pytest

from abplatform.analysis.pairs import PAIR_SCHEMA
from abplatform.cli.main import main
from reward.dataset import read_pairs

MAPPING = """\
event: aggregate
fields: {experiment: test, product_id: picture, creative_id: headline, impressions: shown,
         clicks: clicked}
constants: {category: story}
row_number: {variant: test}
time: {field: week, format: iso_week}
text: [headline]
experiment: {assignment: external, control: first}
"""
ROWS = [
    ("t1", "p1", "Clear winner", 4000, 200, 201446),
    ("t1", "p1", "Clear loser", 4000, 80, 201446),
    ("t1", "p2", "Other picture", 4000, 150, 201446),
    ("t2", "p3", "Nearly the same", 4000, 100, 201447),
    ("t2", "p3", "Just the same", 4000, 101, 201447),
    ("t3", "p4", "Old one", 4000, 200, 201330),
    ("t3", "p4", "Old two", 4000, 80, 201330),
    ("t4", "p5", "Broken one", 9000, 200, 201447),
    ("t4", "p5", "Broken two", 4000, 80, 201447),
    ("t5", "p6", "Alone", 4000, 200, 201447),
]


@pytest.fixture
def abp(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ABP_WORKSPACE", raising=False)
    names = ["test", "picture", "headline", "shown", "clicked", "week"]
    table = pl.DataFrame(ROWS, schema=names, orient="row")
    table.write_parquet(tmp_path / "past.parquet")
    table.write_csv(tmp_path / "past.csv")
    (tmp_path / "mapping.yaml").write_text(MAPPING)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["abp", "pairs", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call


@pytest.mark.parametrize("table", ["past.parquet", "past.csv"])
def test_a_table_of_past_tests_becomes_pairs(abp, tmp_path, table):
    """Headlines of one test over one picture are paired; broken splits and old weeks are not."""
    words = ("--mapping", "mapping.yaml", "--leave-out", "2013-W25..2014-W02", "--out", "out.pq")
    code, out, err = abp("--from-aggregates", table, *words, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    told = {name: answer[name] for name in ("tests", "broken_splits", "left_out", "pairs")}
    assert told == {"tests": 4, "broken_splits": 1, "left_out": 1, "pairs": 2}
    pairs = pl.read_parquet(tmp_path / "out.pq")
    assert pairs.schema == PAIR_SCHEMA
    clear, close = pairs.sort("experiment").iter_rows(named=True)
    assert (clear["chosen_text"], clear["rejected_text"]) == ("Clear winner", "Clear loser")
    assert (clear["clicks_chosen"], clear["clicks_rejected"]) == (200, 80)
    assert clear["week"] == "2014-W46"
    assert clear["p_win"] > 0.99
    assert 0.5 <= close["p_win"] < 0.6
    assert close["weight"] < 0.05 < clear["weight"]
    assert not (tmp_path / "data").exists()
    assert len(read_pairs(tmp_path / "out.pq").frame) == 2


def test_without_weeks_left_out_every_sound_test_counts(abp):
    """A single week can be named as well; a week that is none is a usage error."""
    words = ("--from-aggregates", "past.csv", "--mapping", "mapping.yaml", "--out", "out.pq")
    assert "wrote 3 pairs of 4 tests" in abp(*words)[1]
    assert "wrote 2 pairs of 4 tests" in abp(*words, "--leave-out", "2013-W30")[1]
    for wrong in ("2013", "2013-W60", "2014-W02..2013-W25"):
        code, _, err = abp(*words, "--leave-out", wrong)
        assert code == 2
        assert wrong in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--from-aggregates"),
        (("e", "--from-aggregates", "past.csv"), "--from-aggregates"),
        (("--from-aggregates", "past.csv", "--out", "x"), "--mapping"),
        (("--from-aggregates", "past.csv", "--mapping", "mapping.yaml"), "--out"),
        (("e", "--mapping", "mapping.yaml"), "--from-aggregates"),
    ],
)
def test_half_a_request_is_a_usage_error(abp, words, told):
    """An experiment or a table, and with the table what belongs to it."""
    code, _, err = abp(*words)
    assert code == 2
    assert told in err


def test_a_table_without_tests_is_told(abp, tmp_path):
    """One variant a test compares nothing: one error, with a remedy, and no file."""
    (tmp_path / "past.csv").write_text(
        "test,picture,headline,shown,clicked,week\nt1,p,A,10,1,201446\n"
    )
    words = ("--from-aggregates", "past.csv", "--mapping", "mapping.yaml", "--out", "out.pq")
    code, _, err = abp(*words)
    assert code == 1
    assert "no test with two variants" in err
    assert not (tmp_path / "out.pq").exists()
