"""Which clicks are known: for as long as their URLs are good."""

from datetime import UTC, datetime, timedelta

from abplatform.traffic.service.recorder import CLICKS
from abplatform.traffic.service.replays import ClicksTaken
from abplatform.workspace import Workspace

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_window_that_changes_while_it_serves_forgets_no_click(tmp_path):
    """A click is refused again until its URL is no longer good, by the settings in force."""
    taken = ClicksTaken(Workspace(tmp_path, clock=lambda: NOON), CLICKS, HOUR)
    assert taken.take(b"first", NOON, HOUR)
    assert taken.take(b"second", NOON + 5 * HOUR, 24 * HOUR)
    assert not taken.take(b"first", NOON + 6 * HOUR, 24 * HOUR)
    assert taken.take(b"third", NOON + 9 * HOUR, HOUR)
    assert not taken.take(b"first", NOON + 9 * HOUR, HOUR)
    assert taken.take(b"fourth", NOON + 30 * HOUR, HOUR)
    assert taken.take(b"first", NOON + 30 * HOUR, HOUR)
