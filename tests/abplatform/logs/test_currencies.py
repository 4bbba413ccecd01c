"""Money of several currencies: counted by rates that are fixed when an experiment starts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.analysis.scorecard import Run
from abplatform.analysis.verdict import analyze
from abplatform.errors import RegistryError
from abplatform.logs.facts import Rates
from abplatform.logs.load import ingest
from abplatform.logs.store.tables import read_query
from abplatform.logs.store.warehouse import Warehouse
from abplatform.traffic.registry import Registry
from abplatform.workspace import Settings

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
MILLION = 1_000_000


@pytest.fixture
def priced(workspace):
    """Return ``priced(currency, **rates)`` → the workspace with these lines in its abp.yaml."""

    def make(currency="USD", **rates):
        return replace(workspace, settings=Settings(currency=currency, rates=rates))

    return make


@pytest.fixture
def describe(workspace):
    """Return ``describe(key, more)`` → an experiment's YAML in the workspace."""

    def write(key, more=""):
        workspace.experiments.mkdir(parents=True, exist_ok=True)
        text = (
            f"key: {key}\nvariants: {{baseline: {{control: true}}, generated: {{}}}}\n"
            f"metrics: {{primary: rpm}}\nevents: {{refund_window: 2d}}\n{more}"
        )
        (workspace.experiments / f"{key}.yaml").write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def load(wire, write):
    """Return ``load(workspace, events)`` → a receipt; rates are fixed on the way, as abp does."""

    def make(workspace, events=()):
        registry = Registry(workspace)
        registry.fix_rates(who="ann")
        facts = {key: one.facts for key, one in registry.experiments().items()}
        return ingest(workspace, facts, files=[write(events)] if events else [])

    return make


def purchase(wire, name, amount, currency, *, after=timedelta(minutes=1), **fields):
    paid = {"kind": "purchase", "value_micros": round(amount * MILLION), "currency": currency}
    return wire("conversion", name, after=after, **({"impression_id": "i1"} | paid | fields))


def value_of(exposures, key="beauty"):
    return exposures()[key, "i1"]["net_value_micros"]


def test_rates_of_the_start_count(describe, load, priced, wire, exposures, workspace):  # noqa: PLR0917 -- fixtures
    """What abp.yaml says later changes no value, neither by a new event nor by a rebuild."""
    describe("beauty")
    at_start = priced(EUR=1.1, JPY=0.0067)
    Registry(at_start).start("beauty", at=BEGIN, who="ann")
    load(at_start, [wire("impression", "i1"), purchase(wire, "v1", 10, "EUR")])
    assert value_of(exposures) == 11_000_000
    later = priced(EUR=1.5, JPY=0.01)
    load(later, [purchase(wire, "v2", 10, "EUR"), purchase(wire, "v3", 1000, "JPY")])
    assert value_of(exposures) == 22_000_000 + 6_700_000
    workspace.warehouse.unlink()
    load(later)
    assert value_of(exposures) == 22_000_000 + 6_700_000


def test_two_experiments_count_one_event_each_by_its_rates(describe, load, priced, wire, exposures):
    """A purchase in two layers is worth what each experiment's start fixed; so is a cost."""
    halves = "layer: {name: b}\n"
    describe("beauty")
    describe("layout", halves)
    Registry(priced(EUR=1.1)).start("beauty", at=BEGIN, who="ann")
    Registry(priced(EUR=1.3)).start("layout", at=BEGIN, who="ann")
    layers = [
        {"experiment": "beauty", "variant": "generated"},
        {"experiment": "layout", "variant": "baseline"},
    ]
    cost = wire("cost", "c1", impression_id="i1", cost_micros=MILLION, currency="EUR")
    events = [wire("impression", "i1", assignments=layers), purchase(wire, "v1", 1, "EUR"), cost]
    load(priced(EUR=9.0), events)
    assert value_of(exposures) == 1_100_000
    assert value_of(exposures, "layout") == 1_300_000
    assert exposures()["beauty", "i1"]["cost_micros"] == 1_100_000
    assert exposures()["layout", "i1"]["cost_micros"] == 1_300_000


def test_a_currency_that_is_added_later_is_fixed_then(describe, load, priced, wire, exposures):
    """The first rate that abp.yaml gives takes waiting events in, and counts from then on."""
    describe("beauty")
    Registry(priced()).start("beauty", at=BEGIN, who="ann")
    first = load(priced(), [wire("impression", "i1"), purchase(wire, "v1", 10, "EUR")])
    assert first.reasons == {"unknown_currency": 1}
    load(priced(EUR=1.2))
    assert value_of(exposures) == 12_000_000
    load(priced(EUR=2.0), [purchase(wire, "v2", 10, "EUR")])
    assert value_of(exposures) == 24_000_000
    rows = [row for row in Registry(priced()).rows() if row.action == "rates"]
    assert [row.detail["money"]["worth"] for row in rows] == [{"EUR": 1.2, "USD": 1.0}]


def test_an_external_experiment_is_fixed_by_its_first_ingest(
    describe, load, priced, wire, exposures
):
    """An experiment that needs no start gets its rates when the first log comes."""
    describe("beauty", "assignment: external\n")
    load(priced(EUR=1.2), [wire("impression", "i1"), purchase(wire, "v1", 10, "EUR")])
    load(priced(EUR=2.0), [purchase(wire, "v2", 10, "EUR")])
    assert value_of(exposures) == 24_000_000


def test_another_currency_of_the_workspace_is_converted_back(
    describe, load, priced, wire, exposures
):
    """A running experiment stays in the currency it started in, at rates that were fixed then."""
    describe("beauty")
    Registry(priced(EUR=1.25)).start("beauty", at=BEGIN, who="ann")
    # Now in euros: a pound is 1.2 of them, so 1.5 dollars by the rate of the start.
    events = [wire("impression", "i1"), purchase(wire, "v1", 10, "GBP")]
    load(priced("EUR", USD=0.7, GBP=1.2), [*events, purchase(wire, "v2", 10, "EUR")])
    assert value_of(exposures) == 15_000_000 + 12_500_000


def test_money_that_was_let_in_stays_when_its_rate_goes(  # noqa: PLR0917 -- fixtures
    workspace, facts, priced, wire, write, exposures
):
    """Without its rate it counts nowhere and is told of; a rebuild lets it in again."""
    shown = wire("impression", "i1")
    cost = {"cost_micros": MILLION, "currency": "EUR"}
    cell = {"experiment": "beauty", "variant": "baseline", "day": shown["ts"][:10]}
    events = [
        shown,
        purchase(wire, "v1", 10, "EUR"),
        purchase(wire, "v2", 10, "EUR", impression_id=None, unit_id=shown["unit_id"]),
        wire("cost", "k1", impression_id="i1", **cost),
        wire("cost", "k2", **cell, **cost),
        purchase(wire, "v3", 1, "USD"),
        purchase(wire, "v4", 1, "EUR", impression_id="nowhere"),
    ]
    bare = {key: replace(one, rates=None) for key, one in facts.items()}
    first = ingest(priced(EUR=1.1), bare, files=[write(events)])
    assert first.left_over["unpriced"] == 0
    without = ingest(priced(), bare)
    assert without.left_over["unpriced"] == 4
    assert value_of(exposures) == MILLION
    workspace.warehouse.unlink()
    rebuilt = ingest(priced(), bare)
    assert rebuilt.totals == without.totals == first.totals
    assert rebuilt.left_over == without.left_over


def test_a_currency_without_a_rate_back_is_refused(describe, load, priced, workspace):
    """Amounts that cannot be compared are refused before a file lands, with what to do."""
    describe("beauty")
    Registry(priced()).start("beauty", at=BEGIN, who="ann")
    with pytest.raises(RegistryError, match="counts money in USD since its start") as caught:
        load(priced("EUR", GBP=1.2))
    assert caught.value.path == workspace.root / "abp.yaml"
    assert "add USD to rates" in (caught.value.remedy or "")
    Registry(priced()).stop("beauty", at=BEGIN + timedelta(days=1), who="ann")
    load(priced("EUR", GBP=1.2))


def test_nothing_is_written_where_all_is_fixed(describe, priced):
    """Fixing again writes no row; a draft has nothing to fix yet."""
    describe("beauty")
    registry = Registry(priced(EUR=1.1))
    assert registry.fix_rates(who="ann") == []
    registry.start("beauty", at=BEGIN, who="ann")
    assert registry.fix_rates(who="ann") == []
    assert Registry(priced(EUR=1.9)).fix_rates(who="ann") == []
    assert Registry(priced(EUR=1.9, GBP=2.0)).fix_rates(who="ann") == ["beauty"]
    assert registry.find("beauty").rates == Rates.of("USD", {"EUR": 1.1, "GBP": 2.0})


def test_a_refund_takes_back_to_the_last_millionth(describe, load, priced, wire, exposures):
    """What was paid and taken back in one currency leaves nothing, whatever the rate."""
    describe("beauty")
    now = priced(EUR=1.0837123456789)
    Registry(now).start("beauty", at=BEGIN, who="ann")
    back = {"kind": "refund", "reverses": "v1", "after": timedelta(hours=1)}
    events = [wire("impression", "i1"), purchase(wire, "v1", 0.000003, "EUR")]
    load(now, [*events, purchase(wire, "r1", -0.000003, "EUR", **back)])
    assert value_of(exposures) == 0


@pytest.mark.parametrize(
    ("currency", "rates", "said"),
    [
        ("USD", {"EUR": 1.1}, None),
        ("USD", {"EUR": 1.5}, "in USD by the rates of the start: EUR 1.1 (1.5 now)"),
        ("USD", {}, "in USD by the rates of the start: EUR 1.1 (no rate now)"),
        ("EUR", {"USD": 0.9}, "by the rates of the start: abp.yaml counts in EUR now"),
    ],
)
def test_scorecards_tell_of_rates_that_moved(  # noqa: PLR0917 -- fixtures
    describe, load, priced, wire, currency, rates, said
):
    """Whoever reads amounts learns by which rates, where abp.yaml gives others today."""
    describe("beauty")
    Registry(priced(EUR=1.1)).start("beauty", at=BEGIN, who="ann")
    now = priced(currency, **rates)
    load(now, [wire("impression", "i1")])
    registered = Registry(now).find("beauty")
    with now.lock("test"), Warehouse.open(now) as warehouse:
        run = Run.of(registered, now=now.clock())
        card = analyze(warehouse, registered.experiment, run=run)
    told = [note.message for note in card.warnings if note.code == "rates_of_the_start"]
    assert [said in note for note in told] == ([True] if said else [])


@pytest.fixture(scope="module")
def converted():
    """Return ``converted(paid, rate)`` as the attribution reckons it."""
    text = read_query("portable/placed_conversions")
    expression = next(line for line in text.splitlines() if "FLOOR" in line).split(" AS value")[0]
    with Warehouse.in_memory() as warehouse:

        def reckon(paid, rate):
            # The expression is the repository's own.
            question = f"SELECT {expression} FROM (SELECT ?::BIGINT AS paid_micros) AS c, (SELECT ?::DOUBLE AS rate) AS x"  # noqa: S608, E501
            return warehouse._connection.execute(question, [paid, rate]).fetchone()[0]

        yield reckon


@settings(max_examples=200, deadline=None)
@given(
    paid=st.integers(-(10**15), 10**15),
    rate=st.floats(1e-6, 4, allow_nan=False, allow_subnormal=False),
)
def test_conversion_rounds_to_the_nearest_millionth(converted, paid, rate):
    """The value is within half a millionth of the exact product, and money back mirrors it."""
    value = converted(paid, rate)
    exact = Fraction(paid) * Fraction(rate)
    # The product itself is a double: half its last place comes on top above 2^52.
    assert abs(value - exact) <= Fraction(1, 2) + abs(exact) / 2**52
    assert converted(-paid, rate) == -value
    assert converted(paid, 1.0) == paid


@given(
    st.dictionaries(st.sampled_from(["EUR", "GBP", "JPY"]), st.floats(0.01, 100), max_size=3),
    st.dictionaries(
        st.sampled_from(["EUR", "GBP", "JPY", "CNY"]), st.floats(0.01, 100), max_size=4
    ),
)
def test_completing_never_changes_a_rate(first, second):
    """Rates that are fixed stay, and completing twice is completing once."""
    fixed, now = Rates.of("USD", first), Rates.of("USD", second)
    done = fixed.completed(now)
    assert fixed.worth.items() <= done.worth.items()
    assert set(done.worth) == {"USD", *first, *second}
    assert done.completed(now) == done
