"""Scorecards on Spark over a lake: the same queries give the same integers as on DuckDB."""

import json
import random
import re
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import abplatform.logs.store
from abplatform.analysis.scorecard import Question, known_then
from abplatform.analysis.scorecard.scope import naive, path_pattern
from abplatform.analysis.verdict import analyze
from abplatform.cli.cases import OpenStore, open_store
from abplatform.cli.main import abp
from abplatform.domain.experiment import Cuped
from abplatform.errors import NotInstalled, StoreError
from abplatform.logs.attribution import (
    EARLY_MICROS,
    KEPT,
    MOST_A_DAY,
    MOST_A_MINUTE,
    MOST_AN_HOUR,
    STEPS,
)
from abplatform.logs.facts import FOREVER_MICROS
from abplatform.logs.histories import read_histories
from abplatform.logs.holdout import read_holdout
from abplatform.logs.load import declared_experiments
from abplatform.logs.store.answering import Answer, data_version
from abplatform.logs.store.comparing import compare_answers
from abplatform.logs.store.lake import read_lake
from abplatform.logs.store.spark import SparkStore, open_spark
from abplatform.logs.store.tables import THEN_VIEWS
from abplatform.logs.totals import compute_totals
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

PAGE = Path(__file__).parents[3] / "docs" / "spark.md"
QUERIES = Path(abplatform.logs.store.__file__).parent / "queries" / "portable"
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
    """Some days with everything: layers, refunds in two currencies, held units, bots, reports."""
    draw = random.Random(5)
    for number in range(500):
        unit = draw.randrange(90)
        ts = START + timedelta(seconds=draw.randrange(300_000))
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
        soon = ts + timedelta(seconds=draw.randrange(-9, 60_000))
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
    yield from unassigned_events({**shown, **place})
    yield event("click", "early", START - timedelta(seconds=6), impression_id="b1")
    yield event("click", "late", START + timedelta(days=2), impression_id="b1")
    held = {"unit_id": "held", "action": "hold", "assignments": layers}
    yield event("decision", "h1", START, decision_id="x", **held)
    spent = {"experiment": "beauty", "variant": "generated", "day": "2026-09-03"}
    yield event("cost", "s1", START, cost_micros=1_000_003, currency="EUR", **spent)
    yield event("cost", "s0", START, cost_micros=5, currency="EUR", **spent | {"day": "2026-08-03"})
    yield event("cost", "s2", START, cost_micros=77, currency="USD", impression_id="i2")
    for number in range(40):
        # Twenty rows of a report, and the same restated.
        row, revision = number % 20, number // 20
        day = (START + timedelta(days=row // 4)).date().isoformat()
        counts = {"impressions": 900 + number, "clicks": 40 + number, "conversions": 2}
        shown = {"creative_id": f"a{row // 2 % 2}", "product_id": "p", "category": "beauty/lip"}
        told = {"variant": ("old", "new")[row % 2], "day": day, "revision": revision}
        yield event("aggregate", f"g{number}", START, experiment="ads", **told, **counts, **shown)


def unassigned_events(told):
    """In no experiment: two units of the permanent holdout, two others, one that was both."""
    for number in range(12):
        unit, reason = number % 5, "holdout" if number % 5 < 2 or number == 4 else "assigned"
        told |= {"unit_id": f"n{unit}", "assignments": [], "reason": reason}
        ts = START + timedelta(hours=number)
        yield event("impression", f"n{number}", ts, **told)
        if number % 2:
            yield event("click", f"nk{number}", ts, impression_id=f"n{number}")


def event(event_type, event_id, ts, /, **fields):
    head = {"schema": 1, "event_type": event_type, "event_id": event_id, "ts": ts.isoformat()}
    return head | fields


def call(*words):
    result = CliRunner().invoke(abp, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def late_events():
    """Impressions, clicks and purchases of a time whose rows are final by now."""
    shown = {"creative_id": "c1", "product_id": "p1", "category": "home"}
    paid = {"kind": "buy", "value_micros": 7_000_000, "currency": "USD"}
    for number in range(20):
        ts = START + timedelta(hours=number)
        layout = [{"experiment": "layout", "variant": "ab"[number % 2]}]
        told = {"unit_id": f"w{number}", "assignments": layout, **shown}
        yield event("impression", f"wi{number}", ts, **told)
        yield event("click", f"wk{number}", ts, impression_id=f"wi{number}")
        yield event("conversion", f"wv{number}", ts, impression_id=f"wi{number}", **paid)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a workspace with three experiments and a lake of it.

    Late events came after the log and waited for a backfill, which has let them in.
    """
    root = tmp_path_factory.mktemp("shop")
    (root / "abp.yaml").write_text(SETTINGS)
    (root / "experiments").mkdir()
    for key, text in {"beauty": BEAUTY, "layout": LAYOUT, "ads": ADS}.items():
        (root / "experiments" / f"{key}.yaml").write_text(text)
    (root / "catalog").mkdir()
    (root / "catalog" / "categories.yaml").write_text(
        "version: 1\nknown: [beauty/lip, beauty/eye]\n"
    )
    # Late is only what comes of a time after the source was first read.
    opening = [event("click", "o1", START - timedelta(days=2), impression_id="elsewhere")]
    take_in(root, opening, "--as-of", "2026-08-31T00:00:00Z")
    first, second = take_in(root, wire_events()), take_in(root, late_events())
    assert first["received"] == first["accepted"] + first["superseded"]
    assert second["left_over"]["late_events"] == second["received"]
    (root / "while_they_waited").write_text(second["data_version"])
    assert sum(json.loads(call("backfill", "--json", "-w", root))["entered"].values())
    lake = tmp_path_factory.mktemp("out") / "lake"
    call("export", "lake", lake, "-w", root)
    return root, lake


def take_in(root, events, *options):
    log = root / "log.jsonl"
    log.write_text("".join(f"{json.dumps(one)}\n" for one in events))
    return json.loads(call("ingest", log, *options, "--json", "-w", root))


@pytest.fixture(scope="module")
def spark():
    """Keep one Spark session for all tests here; commands join it."""
    pytest.importorskip("pyspark.sql", reason="pyspark comes with the extra `spark`")
    with open_spark("local[1]", config=QUICK) as session:
        yield session


@pytest.fixture(scope="module")
def opened(shop, spark):
    """Open the lake on Spark with its events alone: nothing has been computed from them."""
    store = SparkStore(spark, read_lake(shop[1]))
    workspace = open_workspace(shop[0])
    registered, _ = Registry(workspace).usable()
    return OpenStore(workspace, store, registered, declared_experiments(store), ())


ASKED_NOWHERE_ELSE = [
    ("aggregate_daily", {"experiments": ["ads"]}),
    ("creative_texts", {}),
    ("left_over", {"known_until": 3, "early_micros": EARLY_MICROS}),
    ("exposed_experiments", {"experiments": ["ads", "beauty", "layout"]}),
    ("exposure_sources", {"experiment": "beauty"}),
    ("held_out", {}),
    ("variant_totals", {}),
    (
        "creative_strata",
        {
            "experiment": "beauty",
            "until": datetime(2027, 1, 1),  # noqa: DTZ001  # queries bind UTC without saying so
            "known": datetime(2027, 1, 1),  # noqa: DTZ001  # likewise
            "flagged_until": datetime(2027, 1, 1),  # noqa: DTZ001  # likewise
            "final": False,
            "bots": False,
            "excluded_sources": [""],
        },
    ),
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
            "until": datetime(2026, 9, 4),  # noqa: DTZ001  # likewise
            "flagged_until": datetime(2026, 9, 4),  # noqa: DTZ001  # likewise
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
        "past_variants",
        {
            "category": "^beauty(/|$)",
            "country": "",
            "bots": False,
            "until": datetime(2026, 9, 4),  # noqa: DTZ001  # likewise
            "flagged_until": datetime(2026, 9, 4),  # noqa: DTZ001  # likewise
        },
    ),
    (
        "unit_days",
        {
            "experiment": "beauty",
            "variants": ["baseline"],
            "numerator": "net_value_micros",
            "denominator": "impressions",
            "category": "^beauty(/|$)",
            "country": "",
            "by_event": False,
            "bots": True,
            "since": datetime(2026, 9, 2),  # noqa: DTZ001  # likewise
            "until": datetime(2026, 9, 4),  # noqa: DTZ001  # likewise
            "flagged_until": datetime(2026, 9, 4),  # noqa: DTZ001  # likewise
            "excluded_sources": [""],
        },
    ),
    (
        "bucket_unit_sums",
        {
            "experiment": "beauty",
            "numerator": "clicked",
            "denominator": "impressions",
            "place": "category",
            "category_pattern": path_pattern(2),
            "from_slice": 0,
            "until_slice": 4096,
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


BY_UNITS = {
    *("creative_overlap", "creative_totals", "excluded_exposures", "exposure_overview"),
    *("first_exposure_counts", "history_products", "unit_attributes", "unit_products"),
    *("unit_totals", "unknown_exposures"),
}
BY_REPORTS = {"aggregate_creatives", "aggregate_sources", "aggregate_totals"}
MADE_FOR_OTHERS = {
    *("creative_sums", "unit_sums", "stored_unit_sums", "stored_category_totals", "bucket_sums"),
    *("unit_category_totals", "all_clicked_decisions", "click_targets", "aggregates_current"),
    *(name for name, _, _ in STEPS),
    *(name for name, _ in THEN_VIEWS),
    *(f"no_{name}" for name in KEPT),
}
"""What the answers of other queries rest on."""


def assert_same(expected, told, *, fewest):
    compared = compare_answers(expected, told)
    assert [one for one in compared if one.different] == []
    assert sum(one.numbers for one in compared) > fewest


@pytest.mark.slow
def test_the_command_gives_the_same_scorecard(shop, spark):
    """``abp analyze --engine spark --compare`` finds no difference, nor does a reader."""
    root, lake = shop
    on = ("--engine", "spark", "--lake", lake, "--compare", "-w", root)
    told = json.loads(call("analyze", "beauty", *on, "--json"))
    compared = told.pop("compared")
    assert {one["query"] for one in compared} >= BY_UNITS
    assert [one for one in compared if one["different"]] == []
    assert sum(one["numbers"] for one in compared) > 1000
    with open_store(open_workspace(root), "test") as store:
        scorecard = analyze(store.warehouse, store.find("beauty"), run=store.run("beauty"))
    ours = scorecard.to_json()
    # Interactions are the command's own; their queries are among those compared.
    assert told.pop("interactions")
    del ours["interactions"]
    assert ours | {"as_of": None} == told | {"as_of": None}


@pytest.mark.slow
def test_the_past_is_the_same_on_both_engines(shop, opened):
    """Row by row and down to the last millionth: what was known while late events waited."""
    root, _ = shop
    version = (root / "while_they_waited").read_text()
    then = Question(as_of=START + timedelta(days=3), data_version=version)
    with known_then(opened.warehouse, then), opened.warehouse.overheard() as told:
        theirs, their_reports = ask_everything(opened)
    with open_store(open_workspace(root), "test") as store:
        now = store.warehouse.query("lake/fact", table="exposures")
        with known_then(store.warehouse, then), store.warehouse.overheard() as expected:
            ours, reports = ask_everything(store)
    empty = {one.name for one in expected if one.rows.is_empty()}
    # A scorecard of reports asks whether its experiment has exposures.
    assert empty == {"portable/creative_texts", "portable/exposed_experiments"}
    rows = [Answer("portable/exposures", frame) for frame in (ours, theirs)]
    assert {one.name.removeprefix("portable/") for one in told} >= BY_REPORTS
    assert_same([rows[0], *expected], [rows[1], *told], fewest=10_000)
    assert reports | {"as_of": None} == their_reports | {"as_of": None}
    assert ours["net_value_micros"].sum() != 0
    assert ours["cost_micros"].sum() > 1_000_003
    assert ours["bot"].sum() == 70
    assert ours["mixed"].any()
    missing = now.filter(pl.col("ts") < naive(then.as_of)).join(ours, on="event_id", how="anti")
    assert set(missing["event_id"]) == {f"wi{number}" for number in range(20)}
    (left,) = (one.rows for one in expected if one.name == "portable/left_over")
    assert not LEFT_KINDS - set(left.filter(pl.col("events") > 0)["kind"])


LEFT_KINDS = {
    *("orphan_clicks", "early_clicks", "late_clicks", "unplaced_cost_days"),
    *("mixed_units", "bot_units"),
}


def ask_everything(store):
    """Ask what no scorecard of units asks; return every exposure, and a scorecard of reports."""
    warehouse, layout = store.warehouse, store.find("layout")
    exposures = warehouse.query("lake/fact", table="exposures")
    compute_totals(warehouse)
    for name, values in ASKED_NOWHERE_ELSE:
        warehouse.query(f"portable/{name}", **values)
    read_holdout(warehouse)
    window, before = Cuped(window=timedelta(days=2)), START + timedelta(days=2)
    read_histories(warehouse, layout, window, version=data_version(warehouse), before=before)
    return exposures, analyze(warehouse, store.find("ads"), run=store.run("ads")).to_json()


def test_every_portable_query_runs_on_spark_here():
    """A query that no test here asks of both engines is named."""
    there = {path.stem for path in QUERIES.glob("*.sql")}
    asked = {name for name, _ in ASKED_NOWHERE_ELSE}
    asked |= {"holdout_totals", "unit_histories"}
    assert there == asked | BY_UNITS | BY_REPORTS | MADE_FOR_OTHERS


@pytest.mark.slow
def test_the_page_s_way_to_read_a_lake_works(shop, spark, capsys):
    """The Python of docs/spark.md reads a lake as it stands."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(block.replace("/mnt/lake", str(shop[1])), {})  # noqa: S102  # the page's own code
    assert "generated" in capsys.readouterr().out


def test_another_lake_is_not_compared(shop, tmp_path):
    """A lake that is older than the store is refused, with the command that renews it."""
    root, lake = tmp_path / "shop", shop[1]
    shutil.copytree(shop[0], root)
    take_in(root, [event("click", "k-new", START, impression_id="i1")])
    on = ("--engine", "spark", "--lake", lake, "--compare", "-w", root)
    with pytest.raises(StoreError, match=r"does not hold what the store holds now.*abp export"):
        call("analyze", "layout", *on)


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
