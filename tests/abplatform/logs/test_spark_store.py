"""Scorecards on Spark over a lake: the same queries give the same integers as on DuckDB."""

import json
import random
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from abplatform.analysis.verdict import analyze
from abplatform.cli.cases import open_store
from abplatform.cli.engines import OnSpark, check_same_store, open_on_spark
from abplatform.cli.main import abp
from abplatform.errors import NotInstalled, StoreError
from abplatform.logs.attribution import MOST_A_DAY, MOST_A_MINUTE, MOST_AN_HOUR
from abplatform.logs.facts import FOREVER_MICROS
from abplatform.logs.store.answering import Answer
from abplatform.logs.store.comparing import compare_answers
from abplatform.logs.store.spark import open_spark
from abplatform.workspace import open_workspace

PAGE = Path(__file__).parents[3] / "docs" / "spark.md"
START = datetime(2026, 9, 1, tzinfo=UTC)
QUICK = {
    # A few hundred rows: compiling each query to bytecode would take longer than running it.
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
BEAUTY = """\
key: beauty
unit: user_id
assignment: external
variants:
  baseline: {control: true, weight: 50}
  generated: {weight: 50}
metrics:
  primary: {metric: ctr, direction: increase}
  guardrails: [{metric: roi, min: 0}, {metric: satisfaction, min: -1}]
breakdowns: [{by: category, level: 2}, {by: channel}]
analysis: {test: fixed, cuped: {numerator: past_clicks, denominator: past_views}}
"""
LAYOUT = """\
key: layout
unit: user_id
assignment: external
variants: {a: {control: true, weight: 50}, b: {weight: 50}}
metrics: {primary: ctcvr}
"""
ADS = """\
key: ads
assignment: external
variants: {old: {control: true, weight: 50}, new: {weight: 50}}
metrics: {primary: ctr}
"""
SETTINGS = "currency: USD\nrates: {EUR: 1.083712345}\n"


def wire_events():
    """Two weeks with everything: layers, refunds in two currencies, held units, bots, reports."""
    draw = random.Random(5)
    for number in range(500):
        unit = draw.randrange(90)
        ts = START + timedelta(seconds=draw.randrange(1_000_000))
        beauty = ("baseline", "generated")[unit % 2 if number % 50 else number // 50 % 2]
        layers = [{"experiment": "beauty", "variant": beauty}]
        if number % 3:
            layers.append({"experiment": "layout", "variant": "ab"[unit // 2 % 2]})
        shown = {"creative_id": f"c{number % 6}", "product_id": f"p{number % 3}"}
        place = {"category": ("beauty/lip", "beauty/eye", "home")[number % 3], "channel": "app"}
        about = {"unit_id": f"u{unit}", "decision_id": f"d{number}", "assignments": layers}
        past = {"attributes": {"past_clicks": unit % 4, "past_views": 10}}
        reason = {"reason": "forced"} if number % 97 == 0 else {}
        yield event("impression", f"i{number}", ts, **shown, **place, **about, **past, **reason)
        soon = ts + timedelta(seconds=draw.randrange(-9, 100_000))
        if number % 4 == 0:
            yield event("click", f"k{number}", soon, impression_id=f"i{number}")
        if number % 7 == 0:
            yield event("click", f"l{number}", soon, decision_id=f"d{number}")
        if number % 5 == 0:
            who = {"unit_id": f"u{unit}"} if number % 2 else {"impression_id": f"i{number}"}
            paid = {"currency": draw.choice(["USD", "EUR"]), **who}
            value = draw.randrange(10**9)
            yield event("conversion", f"v{number}", soon, kind="buy", value_micros=value, **paid)
            back = {"kind": "refund", "value_micros": -draw.randrange(10**8)}
            named = {"reverses": f"v{number}"} if number % 3 else {}
            yield event("conversion", f"r{number}", soon, **back, **named, **paid)
        if number % 11 == 0:
            yield event("feedback", f"f{number}", soon, impression_id=f"i{number}", score=-0.3)
    for number in range(70):
        soon = START + timedelta(seconds=number / 10)
        told = {"unit_id": "busy", "experiment": "beauty", "variant": "generated", **shown, **place}
        yield event("impression", f"b{number}", soon, **told)
    held = {"unit_id": "held", "action": "hold", "assignments": layers}
    yield event("decision", "h1", START, decision_id="x", **held)
    spent = {"experiment": "beauty", "variant": "generated", "day": "2026-09-03"}
    yield event("cost", "s1", START, cost_micros=1_000_003, currency="EUR", **spent)
    yield event("cost", "s2", START, cost_micros=77, currency="USD", impression_id="i2")
    for number in range(40):
        # Twenty rows of a report, and the same restated.
        row, revision = number % 20, number // 20
        day = (START + timedelta(days=row // 4)).date().isoformat()
        counts = {"impressions": 900 + number, "clicks": 40 + number, "conversions": 2}
        shown = {"creative_id": f"a{row // 2 % 2}", "product_id": "p", "category": "beauty/lip"}
        told = {"variant": ("old", "new")[row % 2], "day": day, "revision": revision}
        yield event("aggregate", f"g{number}", START, experiment="ads", **told, **counts, **shown)


def event(event_type, event_id, ts, /, **fields):
    head = {"schema": 1, "event_type": event_type, "event_id": event_id, "ts": ts.isoformat()}
    return head | fields


def call(*words):
    result = CliRunner().invoke(abp, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a workspace with three experiments, loaded, and a lake of it."""
    root = tmp_path_factory.mktemp("shop")
    (root / "abp.yaml").write_text(SETTINGS)
    (root / "experiments").mkdir()
    for key, text in {"beauty": BEAUTY, "layout": LAYOUT, "ads": ADS}.items():
        (root / "experiments" / f"{key}.yaml").write_text(text)
    log = root / "log.jsonl"
    log.write_text("".join(f"{json.dumps(one)}\n" for one in wire_events()))
    receipt = json.loads(call("ingest", log, "--json", "-w", root))
    assert receipt["received"] == receipt["accepted"] + receipt["superseded"]
    lake = tmp_path_factory.mktemp("out") / "lake"
    call("export", "lake", lake, "-w", root)
    return root, lake


@pytest.fixture(scope="module")
def spark():
    """Keep one Spark session for all tests here; commands join it."""
    pytest.importorskip("pyspark.sql", reason="pyspark comes with the extra `spark`")
    with open_spark("local[1]", config=QUICK) as session:
        yield session


@pytest.fixture(scope="module")
def opened(shop, spark):
    """Open the lake on Spark, all its exposures computed from events, once for all tests."""
    with open_on_spark(
        open_workspace(shop[0]), OnSpark(shop[1], "local[1]", compare=True)
    ) as store:
        yield store


ASKED_NOWHERE_ELSE = [
    ("aggregate_daily", {"experiments": ["ads"]}),
    ("creative_texts", {}),
    ("exposed_experiments", {"experiments": ["ads", "beauty", "layout"]}),
    ("exposure_sources", {"experiment": "beauty"}),
    ("held_out", {}),
    ("variant_totals", {}),
    (
        "assignment_mismatches",
        {
            "experiment": "beauty",
            "salt": "experiment:beauty",
            "until": datetime(2027, 1, 1),  # noqa: DTZ001  # queries bind UTC without saying so
            "excluded_sources": [""],
            "variants": ["baseline", "generated"],
            "lows": [0, 2**31],
            "highs": [2**31, 2**32],
            "starts_at": datetime(2026, 1, 1),  # noqa: DTZ001  # likewise
            "ends_at": datetime(2027, 1, 1),  # noqa: DTZ001  # likewise
        },
    ),
    (
        "daily_totals",
        {
            "experiment": "layout",
            "until": datetime(2026, 9, 9),  # noqa: DTZ001  # likewise
            "flagged_until": datetime(2026, 9, 9),  # noqa: DTZ001  # likewise
            "bots": True,
            "excluded_sources": [""],
        },
    ),
    (
        "impression_days",
        {
            "attribution_micros": 3_600_000_000,
            "until_micros": FOREVER_MICROS,
            "by_event": False,
            "bots": False,
            "category": "^beauty",
            "country": "",
            "most_a_minute": MOST_A_MINUTE,
            "most_an_hour": MOST_AN_HOUR,
            "most_a_day": MOST_A_DAY,
        },
    ),
    (
        "aggregate_days",
        {
            "experiments": ["ads"],
            "from_days": [date(2026, 9, 2)],
            "until_days": [date(2026, 9, 6)],
            "excluded": [""],
        },
    ),
]


def answers_of(store, key):
    """Analyse an experiment; return its scorecard and what the store was asked for it."""
    with store.warehouse.overheard() as heard:
        scorecard = analyze(store.warehouse, store.find(key), run=store.run(key))
    return scorecard.to_json(), heard


@pytest.mark.slow
@pytest.mark.parametrize(("key", "fewest"), [("beauty", 1000), ("ads", 40)])
def test_a_scorecard_is_the_same_on_both_engines(shop, opened, key, fewest):
    """Every number behind the scorecard, and the scorecard itself, is the same on Spark."""
    theirs, told = answers_of(opened, key)
    with open_store(open_workspace(shop[0]), "test") as store:
        ours, expected = answers_of(store, key)
    compared = compare_answers(expected, told)
    assert [one for one in compared if one.different] == []
    assert sum(one.numbers for one in compared) > fewest
    assert ours | {"as_of": None} == theirs | {"as_of": None}


@pytest.mark.slow
def test_the_command_compares_every_number(shop, spark):
    """``abp analyze --engine spark --compare`` tells query by query that nothing differs."""
    root, lake = shop
    on = ("--engine", "spark", "--lake", lake, "--compare", "-w", root)
    told = call("analyze", "layout", *on, "--json")
    compared = json.loads(told)["compared"]
    assert {one["query"] for one in compared} >= {"unit_totals", "first_exposure_counts"}
    assert [one for one in compared if one["different"]] == []


@pytest.mark.slow
def test_every_exposure_is_the_same_on_both_engines(shop, opened):
    """Row by row, what counts for an exposure is the same, down to the last millionth."""
    with opened.warehouse.overheard() as told:
        theirs = ask_everything(opened.warehouse)
    opened_here = open_store(open_workspace(shop[0]), "test")
    with opened_here as store, store.warehouse.overheard() as expected:
        ours = ask_everything(store.warehouse)
    rows = [Answer("portable/exposures", frame) for frame in (ours, theirs)]
    for one in compare_answers([rows[0], *expected], [rows[1], *told]):
        assert one.different == 0, one
    assert ours["net_value_micros"].sum() != 0
    assert ours["cost_micros"].sum() > 1_000_003
    assert ours["bot"].sum() == 70
    assert ours["mixed"].any()


def ask_everything(warehouse):
    """Ask what no scorecard asks, and return every exposure."""
    for name, values in ASKED_NOWHERE_ELSE:
        warehouse.query(f"portable/{name}", **values)
    return warehouse.query("lake/fact", table="exposures")


@pytest.mark.slow
def test_the_page_s_way_to_read_a_lake_works(shop, spark, capsys):
    """The Python of docs/spark.md reads a lake as it stands."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(block.replace("/mnt/lake", str(shop[1])), {})  # noqa: S102  # the page's own code
    assert "generated" in capsys.readouterr().out


@pytest.mark.slow
def test_another_lake_is_not_compared(shop, opened, tmp_path):
    """A lake that is older than the store is refused, with the command that renews it."""
    root, lake = shop
    log = tmp_path / "more.jsonl"
    log.write_text(json.dumps(event("click", "k-new", START, impression_id="i1")) + "\n")
    call("ingest", log, "-w", root)
    with (
        open_store(open_workspace(root), "test") as store,
        pytest.raises(StoreError, match=r"does not hold what the store holds now.*abp export"),
    ):
        check_same_store(opened.warehouse, store.warehouse, lake)


def test_without_a_lake_there_is_nothing_to_read(shop, tmp_path):
    """A folder without a lake is named, with the command that writes one."""
    on = ("--engine", "spark", "--lake", tmp_path, "-w", shop[0])
    with pytest.raises(StoreError, match=r"there is no lake.*abp export lake"):
        call("analyze", "beauty", *on)


def test_a_missing_pyspark_is_named(monkeypatch):
    """Without the extra, the error says which one to install."""
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.testing", None)
    with pytest.raises(NotInstalled, match=r"pip install 'abplatform\[spark\]'"), open_spark("x"):
        pass


@pytest.mark.parametrize(
    "words",
    [
        ("--lake", "lake"),
        ("--compare",),
        ("--engine", "spark"),
        ("--engine", "spark", "--lake", "lake", "--monitor"),
    ],
)
def test_options_that_do_not_fit_are_refused(shop, words):
    """A lake without Spark, Spark without a lake and a glance on Spark are wrong calls."""
    words = ["analyze", "beauty", *words, "-w", str(shop[0])]
    assert CliRunner().invoke(abp, words).exit_code == 2


def test_a_difference_is_found_and_shown():
    """One other number, a missing row and a question to one store alone are told apart."""
    frame = pl.DataFrame({"variant": ["a", "b"], "n": [1, 2]})
    other = frame.with_columns(n=pl.when(variant=pl.lit("b")).then(3).otherwise("n"))
    ours = [Answer(f"portable/{name}", frame) for name in ("one", "same", "same", "lost", "asked")]
    theirs = {"one": other, "same": frame.reverse(), "lost": frame.head(1)}
    theirs = [Answer(f"portable/{name}", rows) for name, rows in theirs.items()]
    one, same, lost, asked = compare_answers([*ours, Answer("load/meta", frame)], theirs)
    assert (one.numbers, one.different, one.example) == (3, 1, "n: 2 and 3")
    assert (same.numbers, same.different) == (4, 0)
    assert (lost.numbers, lost.different) == (2, 2)
    assert (asked.different, asked.example) == (4, "the other store was not asked this")
