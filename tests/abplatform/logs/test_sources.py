"""Sources that abp.yaml names: what is pulled, what is due, and who has fallen silent."""

import json
import os
import time as machine_time
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.errors import WorkspaceLocked
from abplatform.logs.landing import file_sha256, land_file, sealed_segments
from abplatform.logs.load import ingest
from abplatform.logs.mapping.moments import read_moment
from abplatform.logs.sources import pull_due, silent_sources
from abplatform.logs.sources.due import is_due, silence_of
from abplatform.logs.sources.pull import _alone
from abplatform.logs.sources.pulls import Glance, History, read_histories
from abplatform.settings import Settings, Source

UTC_ZONE = ZoneInfo("UTC")
MONDAY = datetime(2026, 11, 2, 5, tzinfo=UTC)


@pytest.fixture
def moving(workspace):
    """Return ``moving(*sources, at=…)`` → the workspace with these sources at that moment."""

    def make(*sources, at=MONDAY + timedelta(days=20)):
        return replace(workspace, settings=Settings(sources=sources), clock=lambda: at)

    return make


@pytest.fixture
def drop(workspace, wire):
    """Return ``drop(name, *ids)`` → a file below the workspace that nothing writes to any more."""

    def make(name, *ids):
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(wire("impression", each)) + "\n" for each in ids]
        path.write_text("".join(lines))
        settle(path)
        return path

    return make


def settle(path, minutes=10):
    """Make a file look as if it was written minutes ago."""
    then = machine_time.time() - 60 * minutes
    os.utime(path, (then, then))


def pulled(workspace, facts):
    return {pull.source: pull for pull in pull_due(workspace, facts)}


def test_new_files_land_byte_for_byte_and_load_once(moving, drop, facts):
    """A pull takes what is new, and a second pull takes nothing."""
    file = drop("logs/a.jsonl", "i1", "i2")
    workspace = moving(Source("app", "logs/*.jsonl", every=timedelta(hours=1)))
    first = pulled(workspace, facts)["app"]
    assert first.files == ["logs/a.jsonl"]
    assert (first.receipt.counts.received, first.receipt.counts.accepted) == (2, 2)
    (segment,) = sealed_segments(workspace)
    assert segment.path.read_bytes() == file.read_bytes()
    assert segment.source == "app"
    assert not pulled(workspace, facts)["app"].due
    later = replace(workspace, clock=lambda: MONDAY + timedelta(days=20, hours=1))
    again = pulled(later, facts)["app"]
    assert (again.due, again.files, again.unchanged, again.receipt) == (True, [], 1, None)


def test_sha256_decides_what_is_new(moving, drop, facts):
    """A file written anew with the same bytes is known; with other bytes it is new."""
    source = Source("app", "logs/*.jsonl", every=timedelta(hours=1))
    file = drop("logs/a.jsonl", "i1")
    pulled(moving(source), facts)
    settle(file, minutes=5)
    again = pulled(moving(source, at=MONDAY + timedelta(days=21)), facts)["app"]
    assert (again.files, again.unchanged) == ([], 1)
    # That moment of writing is remembered, so that the file is not read once more.
    file.chmod(0)
    third = pulled(moving(source, at=MONDAY + timedelta(days=21, hours=1)), facts)["app"]
    assert (third.files, third.unchanged, third.errors) == ([], 1, {})
    file.chmod(0o644)
    drop("logs/a.jsonl", "i1", "i9")
    changed = pulled(moving(source, at=MONDAY + timedelta(days=22)), facts)["app"]
    assert changed.files == ["logs/a.jsonl"]
    assert (changed.receipt.counts.accepted, changed.receipt.counts.duplicate) == (1, 1)


def test_a_growing_file_waits(moving, drop, facts):
    """A file that was written to a moment ago is left for the next pull, and the source is due."""
    file = drop("logs/a.jsonl", "i1")
    file.touch()
    workspace = moving(Source("app", "logs/*.jsonl", every=timedelta(hours=1)))
    first = pulled(workspace, facts)["app"]
    assert (first.files, first.waiting) == ([], ["logs/a.jsonl"])
    assert not sealed_segments(workspace)
    settle(file)
    assert pulled(workspace, facts)["app"].files == ["logs/a.jsonl"]


def test_one_bad_source_stops_nobody(moving, drop, facts):
    """Sources that fail are named with a remedy; the others are loaded."""
    drop("logs/a.jsonl", "i1")
    workspace = moving(
        Source("nomapping", "logs/*.jsonl", mapping="nix.yaml"),
        Source("cloud", "s3://bucket/*.csv"),
        Source("odd", "gopher://x/*.csv"),
        Source("app", "logs/*.jsonl"),
    )
    found = pulled(workspace, facts)
    assert "nix.yaml" in found["nomapping"].errors["logs/*.jsonl"]
    assert "pip install s3fs" in found["cloud"].errors["s3://bucket/*.csv"]
    assert "gopher" in found["odd"].errors["gopher://x/*.csv"]
    assert found["app"].receipt.counts.accepted == 1
    # What failed stays due; what came does not.
    again = pulled(workspace, facts)
    assert [again[name].due for name in ("nomapping", "cloud", "odd", "app")] == [True] * 3 + [
        False
    ]


def test_one_bad_file_stops_no_other(moving, drop, facts):
    """A file that cannot be mapped is named; the source's other files load, and it is retried."""
    drop("logs/b.jsonl", "i1")
    bad = drop("logs/a.csv")
    bad.write_text("x,y\n1,2\n")
    settle(bad)
    workspace = moving(Source("app", "logs/*"))
    first = pulled(workspace, facts)["app"]
    assert first.files == ["logs/b.jsonl"]
    assert "event_type" in first.errors["logs/a.csv"]
    assert pulled(workspace, facts)["app"].due


def test_an_empty_file_is_a_quiet_day(moving, drop, facts):
    """A file without a byte counts as having come, and is no error."""
    drop("logs/a.jsonl")
    workspace = moving(Source("app", "logs/*"))
    first = pulled(workspace, facts)["app"]
    assert (first.files, first.errors) == (["logs/a.jsonl"], {})
    assert not sealed_segments(workspace)
    assert not pulled(workspace, facts)["app"].due


def test_a_pull_killed_after_landing_delivers_once(moving, drop, facts):
    """A file that landed but was not remembered is not counted as delivered again."""
    file = drop("logs/a.jsonl", "i1", "i2")
    workspace = moving(Source("app", "logs/*"))
    land_file(workspace, file, source="app")
    ingest(workspace, facts)
    receipt = pulled(workspace, facts)["app"].receipt
    assert receipt.totals.received == receipt.totals.accepted == 2


def test_object_stores_are_read_through_fsspec(moving, wire, facts):
    """A glob on an object store lands the same bytes as a folder does."""
    store = fsspec.filesystem("memory")
    line = json.dumps(wire("impression", "i1")).encode() + b"\n"
    store.pipe("/bucket/day1.jsonl", line)
    for path in store.store.values():
        path.modified = path.created = datetime(2026, 11, 1, tzinfo=UTC)
    workspace = moving(Source("cloud", "memory://bucket/*.jsonl"))
    try:
        pull = pulled(workspace, facts)["cloud"]
        assert pull.files == ["memory:///bucket/day1.jsonl"]
        (segment,) = sealed_segments(workspace)
        assert segment.path.read_bytes() == line
        assert (segment.origin, segment.source) == ("day1.jsonl", "cloud")
        assert not list(workspace.landing.glob("pulling*"))
    finally:
        store.rm("/bucket", recursive=True)


def test_a_file_url_is_a_store_too(moving, drop, facts):
    """A ``file://`` URL is pulled as an object store is."""
    file = drop("logs/a.jsonl", "i1")
    workspace = moving(Source("cloud", f"file://{file}"))
    assert pulled(workspace, facts)["cloud"].receipt.counts.accepted == 1


def test_a_download_that_breaks_off_never_lands(moving, drop, facts, monkeypatch):
    """A file that comes shorter than was listed is an error, and nothing of it lands."""
    file = drop("logs/a.jsonl", "i1", "i2")
    workspace = moving(Source("cloud", f"file://{file}"))
    whole = file.read_bytes()
    opened = fsspec.implementations.local.LocalFileSystem.open

    def torn(self, path, mode="rb", **options):
        file.write_bytes(whole[:40])
        return opened(self, path, mode, **options)

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "open", torn)
    pull = pulled(workspace, facts)["cloud"]
    assert "broke off" in next(iter(pull.errors.values()))
    assert not sealed_segments(workspace)


def test_two_pulls_at_once_are_refused(moving, facts):
    """A second pull ends at once and says why."""
    workspace = moving(Source("app", "logs/*"))
    with _alone(workspace), pytest.raises(WorkspaceLocked, match="another pull"):
        pulled(workspace, facts)


def test_a_torn_row_of_the_memory_is_no_pull(moving, drop, facts):
    """A row that was cut off by a crash is left out; the file is found to have landed."""
    drop("logs/a.jsonl", "i1")
    workspace = moving(Source("app", "logs/*"))
    pulled(workspace, facts)
    path = workspace.landing / "pulls.jsonl"
    path.write_bytes(path.read_bytes()[:-200])
    receipt = pulled(workspace, facts)["app"].receipt
    assert receipt.totals.received == receipt.totals.accepted == 1


@pytest.mark.parametrize(
    ("every", "arrived", "now", "due"),
    [
        ("1h", "2026-11-02T05:59+00:00", "2026-11-02T06:00+00:00", True),
        ("1h", "2026-11-02T05:00+00:00", "2026-11-02T05:59+00:00", False),
        ("1d", "2026-11-02T23:00+00:00", "2026-11-03T00:00+00:00", True),
        ("1d", "2026-11-02T00:00+00:00", "2026-11-02T23:59+00:00", False),
        ("7d", "2026-11-02T00:00+00:00", "2026-11-08T23:59+00:00", False),
        ("7d", "2026-11-08T23:59+00:00", "2026-11-09T00:00+00:00", True),
    ],
)
def test_a_source_is_due_once_a_period(every, arrived, now, due):
    """Periods stand on the calendar: hours, days from midnight, weeks from Monday."""
    length = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}[every]
    history = History(glances=[Glance(datetime.fromisoformat(arrived), files=1)])
    source = Source("a", "x", every=length)
    moment = datetime.fromisoformat(now)
    assert is_due(source, history, now=moment, zone=UTC_ZONE) is due
    shanghai = replace(source, time_zone=ZoneInfo("Asia/Shanghai"))
    moved = History(glances=[Glance(history.arrivals[0] - timedelta(hours=8), files=1)])
    assert is_due(shanghai, moved, now=moment - timedelta(hours=8), zone=UTC_ZONE) is due


def days(*moments):
    """Moments such as "3 05:00" of November 2026 as looks that brought something."""
    return [
        Glance(datetime.fromisoformat(f"2026-11-{int(day):02}T{clock}+00:00"), files=1)
        for day, clock in (moment.split() for moment in moments)
    ]


@pytest.mark.parametrize(
    ("arrivals", "now", "silent"),
    [
        (["2 05:00"], "2 06:30", False),
        (["2 05:00"], "3 05:59", False),
        (["2 05:00"], "3 06:00", True),
        (["2 05:00", "3 05:00"], "3 23:00", False),
        # Late, but it came; it does not stand in for the next day's.
        (["2 05:00", "3 07:00"], "3 08:00", False),
        (["2 05:00", "3 07:00"], "4 06:00", True),
        (["2 05:00", "3 07:00", "4 05:00"], "4 06:00", False),
        # Early is early: not late for the day before, which was on time.
        (["2 05:00", "2 20:00"], "3 06:00", False),
        # The first look came after that day's deadline: its files are that day's.
        (["2 07:00"], "2 23:00", False),
        (["2 07:00"], "3 06:00", True),
    ],
)
def test_expect_by_is_a_daily_deadline(arrivals, now, silent):
    """With ``expect_by`` each day's file has its deadline, and late ones count for their own."""
    source = Source("a", "x", every=timedelta(hours=1), expect_by=time(6))
    history = History(glances=days(*arrivals))
    moment = days(now)[0].at
    told = silence_of(source, history, now=moment, zone=UTC_ZONE)
    assert (told is not None) is silent
    if told:
        assert "by 2026-11-0" in told
        assert "delete it from `sources`" in told


def test_deadlines_follow_the_sources_own_clock():
    """A deadline at 06:00 in Berlin moves with Berlin's daylight saving time."""
    berlin = ZoneInfo("Europe/Berlin")
    source = Source("a", "x", expect_by=time(6), time_zone=berlin)
    history = History(glances=[Glance(datetime(2026, 10, 24, 3, tzinfo=UTC), files=1)])

    def silent(moment):
        return silence_of(source, history, now=moment, zone=UTC_ZONE) is not None

    # Clocks go back on 25 October: 06:00 is 04:00 UTC on the 24th and 05:00 UTC on the 25th.
    assert not silent(datetime(2026, 10, 25, 4, 59, tzinfo=UTC))
    assert silent(datetime(2026, 10, 25, 5, 0, tzinfo=UTC))


def test_without_expect_by_two_periods_are_waited():
    """A source without a deadline is silent when nothing new came for two periods."""
    source = Source("a", "x", every=timedelta(hours=1))
    history = History(glances=days("2 05:00"))
    at = history.arrivals[0]
    for hours, silent in ((2, False), (2.01, True)):
        now = at + timedelta(hours=hours)
        assert (silence_of(source, history, now=now, zone=UTC_ZONE) is not None) is silent


@given(
    arrivals=st.lists(st.integers(0, 20 * 24 * 60), max_size=30),
    every=st.sampled_from([1, 6, 24, 48, 168]),
    by=st.none() | st.times().map(lambda it: it.replace(second=0, microsecond=0, tzinfo=None)),
)
def test_what_has_just_come_is_never_silent(arrivals, every, by):
    """Whatever happened before, a source is not silent at the moment in which something came."""
    moments = sorted(MONDAY + timedelta(minutes=minute) for minute in arrivals) or [MONDAY]
    history = History(glances=[Glance(moment, files=1) for moment in moments])
    source = Source("a", "x", every=timedelta(hours=every), expect_by=by)
    last = moments[-1] + timedelta(minutes=1)
    history.glances.append(Glance(last, files=1))
    assert silence_of(source, history, now=last, zone=UTC_ZONE) is None


def test_never_pulled_is_silent(moving):
    """A source that nobody has pulled says so, and what to run."""
    workspace = moving(Source("app", "logs/*"))
    assert "abp ingest --due" in silent_sources(workspace)["app"]
    assert silent_sources(moving()) == {}


def test_the_memory_holds_every_look(moving, drop, facts):
    """Names, sizes and sha256 of what was pulled are kept on the disk."""
    file = drop("logs/a.jsonl", "i1")
    workspace = moving(Source("app", "logs/*"))
    pulled(workspace, facts)
    history = read_histories(workspace)["app"]
    assert history.known == {("logs/a.jsonl", file.stat().st_size, file_sha256(file))}
    assert history.arrivals == [workspace.clock()]


def test_only_a_pull_that_brings_something_raises_a_watermark(moving, drop, facts):
    """Neither a look in vain, nor an ingest, nor a rebuild makes a pulled source seem read."""
    source = Source("app", "logs/*", every=timedelta(hours=1))
    drop("logs/a.jsonl", "i1")
    first = moving(source)
    marks = pulled(first, facts)["app"].receipt.watermarks
    assert marks == {"app": first.clock().isoformat()}
    later = moving(source, at=first.clock() + timedelta(days=1))
    assert pulled(later, facts)["app"].receipt is None
    assert ingest(later, facts).watermarks == marks
    first.warehouse.unlink()
    assert ingest(later, facts).watermarks == marks
    drop("logs/b.jsonl", "i2")
    after = pulled(later, facts)["app"].receipt.watermarks
    assert after == {"app": later.clock().isoformat()}


def test_loading_what_is_sealed_need_not_read_sources(workspace, write, wire, facts):
    """``read_sources=False`` leaves every watermark where it was, and the default raises it."""
    marks = ingest(workspace, facts, files=[write([wire("impression", "i1")])]).watermarks
    later = replace(workspace, clock=lambda: workspace.clock() + timedelta(days=1))
    assert ingest(later, facts, read_sources=False).watermarks == marks
    assert ingest(later, facts).watermarks != marks


@pytest.mark.parametrize(
    ("told", "pattern", "read"),
    [
        ("2026-11-02T08:00:00", None, "2026-11-02T00:00:00+00:00"),
        ("2026-11-02T08:00:00+01:00", None, "2026-11-02T07:00:00+00:00"),
        ("02.11.2026 08:00", "%d.%m.%Y %H:%M", "2026-11-02T00:00:00+00:00"),
    ],
)
def test_a_sources_timezone_reads_its_local_times(moving, facts, rows_of, *, told, pattern, read):
    """Moments without an offset are local to the source; those with one stay what they are."""
    root = moving().root
    (root / "logs").mkdir(parents=True)
    log = root / "logs" / "a.csv"
    log.write_text(f"when,user,banner,sku\n{told},u1,b1,p1\n")
    settle(log)
    form = f", format: '{pattern}'" if pattern else ""
    (root / "shop.yaml").write_text(
        "event: impression\n"
        "fields: {unit_id: user, creative_id: banner, product_id: sku}\n"
        "constants: {category: a/b, experiment: beauty, variant: generated}\n"
        f"time: {{field: when{form}}}\n"
    )
    source = Source("shop", "logs/*.csv", "shop.yaml", time_zone=ZoneInfo("Asia/Shanghai"))
    workspace = moving(source)
    assert pulled(workspace, facts)["shop"].receipt.counts.accepted == 1
    ((micros,),) = rows_of("SELECT ts_micros FROM impressions")
    assert datetime.fromtimestamp(micros / 1e6, UTC) == datetime.fromisoformat(read)


def test_where_clocks_change_local_times_have_one_reading():
    """A moment that comes twice is the first one; one that never was has the offset before."""
    berlin = ZoneInfo("Europe/Berlin")
    assert read_moment("2026-10-25T02:30:00", None, berlin, berlin) == "2026-10-25T02:30:00+02:00"
    assert read_moment("2026-03-29T02:30:00", None, berlin, berlin) == "2026-03-29T02:30:00+01:00"
    assert read_moment("2026-10-25T02:30:00", None, berlin) == "2026-10-25T02:30:00"
