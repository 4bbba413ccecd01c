"""The Home page's facts: what runs and whether the data can be trusted."""

from datetime import timedelta

import pytest

from abplatform.logs.store.published import read_published
from dashboards.home_view import FRESH, STALE, overview


@pytest.fixture
def sources(publish, table_of, now):
    """Return a function from one source's changed facts to its lights."""

    def lights(*, running=True, external=False, at=now, **facts):
        source = dict.fromkeys(
            ["received", "accepted", "quarantined", "duplicate", "superseded", "forgotten"], 0
        )
        source |= {"source": "feed", "reasons": "{}", "watermark": now} | facts
        experiment = {
            "key": "lip",
            "assignment": "external" if external else "platform",
            "state": "running" if running else "stopped",
            "primary_metric": "ctr",
        }
        root = publish(
            health=table_of("health", [source]), experiments=table_of("experiments", [experiment])
        )
        published = read_published(root / "data" / "published")
        return overview(published, now=at).sources[0]

    return lights


def test_what_runs_comes_first(published, now):
    """Running experiments come before ended ones, and drafts last."""
    view = overview(published, now=now)
    assert [card.state for card in view.experiments] == ["running", "stopped", "decided", "draft"]
    assert view.states == {"running": 1, "paused": 0, "stopped": 1, "decided": 1, "draft": 1}


def test_every_experiment_says_something(published, now):
    """Each card has a sentence, and a number or the reason why there is none."""
    cards = {card.key: card for card in overview(published, now=now).experiments}
    assert cards["beauty-generated-2026w47"].sentence.startswith("Generated creatives win")
    assert cards["beauty-generated-2026w47"].lift.text == "+11.0%"
    draft = cards["props-2026w49"]
    assert "abp start" in draft.sentence
    assert (draft.lift.why, draft.srm.level) == ("no traffic analysed yet", "idle")


def test_a_broken_split_is_an_alarm(published, now):
    """An SRM alarm is a concern, and it comes before what is only to be watched."""
    view = overview(published, now=now)
    assert "audio-scenes-2026w46" in view.concerns[0].label
    levels = [light.level for light in view.concerns]
    assert levels == sorted(levels, key=["alarm", "watch"].index)


@pytest.mark.parametrize(
    ("late", "level"),
    [
        (FRESH, "ok"),
        (FRESH + timedelta(minutes=1), "watch"),
        (STALE, "watch"),
        (STALE + timedelta(minutes=1), "alarm"),
    ],
)
def test_freshness_follows_the_watermark(sources, now, late, level):
    """A source is fresh for a day, to be watched for three, then an alarm."""
    assert sources(watermark=now - late).freshness.level == level


def test_no_data_is_expected_when_nothing_runs(sources, now):
    """An old watermark is no fault while none but external experiments run."""
    light = sources(running=False, watermark=now - timedelta(days=90)).freshness
    assert light.level == "idle"
    assert sources(external=True, watermark=now - timedelta(days=90)).freshness == light
    assert "90 days ago; no experiment waits for it" in light.detail


def test_simulated_time_may_be_ahead_of_the_clock(sources, now):
    """Data published in a simulated future is judged by its own time, not by the wall clock."""
    early = now - timedelta(days=300)
    assert sources(at=early, watermark=now - timedelta(hours=1)).freshness.level == "ok"


@pytest.mark.parametrize(
    ("quarantined", "level"), [(0, "ok"), (10, "ok"), (50, "watch"), (51, "alarm")]
)
def test_quarantine_is_judged_by_its_share(sources, quarantined, level):
    """Up to 1 % in quarantine is in order, up to 5 % to be watched, more is an alarm."""
    health = sources(received=1000, accepted=1000 - quarantined, quarantined=quarantined)
    assert health.quarantine.level == level
    assert health.balance.level == "ok"


def test_an_event_that_vanished_is_an_alarm(sources):
    """Received events that no count explains are named with their number."""
    light = sources(received=100, accepted=90, duplicate=8).balance
    assert (light.level, light.detail) == ("alarm", "2 received events are unaccounted for")


def test_reasons_are_told_most_frequent_first(published, now):
    """The quarantine's reasons come with their counts, the most frequent first."""
    feed = next(s for s in overview(published, now=now).sources if s.source == "feed")
    assert list(feed.reasons.items()) == [("unknown_variant", 1000), ("naive_timestamp", 134)]
    assert feed.quarantine.detail.endswith("mostly unknown variant")


def test_nothing_received_is_no_fault(sources):
    """A source without a load is not at fault, but to be watched while experiments run."""
    health = sources(watermark=None)
    assert (health.quarantine.level, health.freshness.level) == ("idle", "watch")
