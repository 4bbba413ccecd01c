"""What people did about a broken split: rows of the journal, and successors on disk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from abplatform.domain.experiment import State
from abplatform.domain.spec import parse_experiment
from abplatform.errors import RegistryError
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.remedies import (
    Remedies,
    acknowledge_split,
    exclude_source,
    link_successor,
    refuse,
)
from abplatform.traffic.registry.successors import next_key, restart, successor_text
from abplatform.workspace import Settings, Workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
LATER = MONDAY + timedelta(days=30)
SPEC = """\
# Lamps.
key: lamps  # ours
variants:
  base: {control: true, weight: 50}
  gen: {weight: 50}
metrics: {primary: ctr}
"""
ONE_LINE = (
    "{key: lamps, variants: {base: {control: true, weight: 50}, gen: {weight: 50}}, "
    "metrics: {primary: ctr}}\n"
)
SAID = {"at": LATER, "who": "owner", "why": "it is broken"}


@pytest.fixture
def registry(tmp_path):
    workspace = Workspace(tmp_path, Settings(), clock=lambda: LATER)
    workspace.experiments.mkdir()
    (workspace.experiments / "lamps.yaml").write_text(SPEC)
    registry = Registry(workspace)
    registry.start("lamps", at=MONDAY, who="owner")
    return registry


def actions(registry, key):
    return [row.action for row in registry.rows() if row.experiment == key]


def test_remedies_add_up(registry):
    """Every row counts, whoever asks: by the experiment, or by a key that has no YAML."""
    acknowledge_split(registry.journal, "lamps", **SAID, e_value=1234.5)
    exclude_source(registry.journal, "lamps", "web", **SAID)
    exclude_source(registry.journal, "lamps", "partner", **SAID)
    refuse(registry.journal, "imported", **SAID)
    expected = Remedies(acknowledged=(LATER,), excluded_sources=("web", "partner"))
    assert registry.find("lamps").remedies == registry.remedies("lamps") == expected
    assert registry.remedies("imported") == Remedies(refused="it is broken")
    assert registry.remedies("nobody") == Remedies()
    assert registry.find("lamps").state is State.RUNNING


def test_saying_it_twice_writes_it_once(registry):
    """The second time nothing is written, and the caller is told."""
    for new in (True, False):
        assert exclude_source(registry.journal, "lamps", "web", **SAID) is new
        assert refuse(registry.journal, "lamps", **SAID) is new
        assert link_successor(registry.journal, "lamps", "lamps-r2", **SAID) == "lamps-r2"
    assert link_successor(registry.journal, "lamps", "other", **SAID) == "lamps-r2"
    assert actions(registry, "lamps") == ["start", "exclude_source", "do_not_use", "restart"]
    assert actions(registry, "lamps-r2") == ["succeed"]


def test_a_linked_draft_can_be_started(registry):
    """Rows about a key that has not started leave it a draft."""
    restart(registry, "lamps", **SAID)
    found = registry.find("lamps-r2")
    assert (found.state, found.remedies.predecessor) == (State.DRAFT, "lamps")
    assert registry.start("lamps-r2", at=LATER, who="owner").state is State.RUNNING


def test_a_successor_may_have_a_successor(registry):
    """The runs are numbered, and each names the one before it."""
    restart(registry, "lamps", **SAID)
    registry.start("lamps-r2", at=LATER, who="owner")
    path = restart(registry, "lamps-r2", **SAID)
    assert path.name == "lamps-r3.yaml"
    assert registry.find("lamps-r3").remedies.predecessor == "lamps-r2"
    assert registry.find("lamps-r2").state is State.STOPPED


@pytest.mark.parametrize("state", ["paused", "stopped", "decided"])
def test_whatever_has_started_can_begin_again(registry, state):
    """Paused ones are stopped; what is stopped or decided stays as it is."""
    if state == "paused":
        registry.pause("lamps", at=MONDAY + timedelta(days=1), who="owner")
    else:
        registry.stop("lamps", at=MONDAY + timedelta(days=1), who="owner")
    if state == "decided":
        registry.decide("lamps", "invalid", at=LATER, who="owner")
    restart(registry, "lamps", **SAID)
    expected = State.STOPPED if state != "decided" else State.DECIDED
    assert registry.find("lamps").state is expected
    assert registry.find("lamps-r2").state is State.DRAFT


def test_a_restart_survives_a_crash(registry):
    """What was written before the crash is taken up again, not written a second time."""
    path = restart(registry, "lamps", **SAID)
    half_way = Registry(
        Workspace(registry.workspace.root / "copy", Settings(), clock=lambda: LATER)
    )
    half_way.workspace.experiments.mkdir(parents=True)
    (half_way.workspace.experiments / "lamps.yaml").write_text(SPEC)
    half_way.start("lamps", at=MONDAY, who="owner")
    (half_way.workspace.experiments / "lamps-r2.yaml").write_bytes(path.read_bytes())
    again = restart(half_way, "lamps", **SAID)
    assert again.name == "lamps-r2.yaml"
    assert actions(half_way, "lamps") == ["start", "stop", "restart"]


def test_a_foreign_file_is_left_alone(registry):
    """A key that somebody else has taken is passed over."""
    other = registry.workspace.experiments / "lamps-r2.yaml"
    other.write_text(SPEC.replace("key: lamps", "key: lamps-r2").replace("50", "50.0"))
    before = other.read_text()
    assert restart(registry, "lamps", **SAID).name == "lamps-r3.yaml"
    assert other.read_text() == before


def test_the_started_plan_begins_again(registry):
    """An edit since the start is not carried over: the successor runs what was started."""
    file = registry.workspace.experiments / "lamps.yaml"
    file.write_text(SPEC.replace("ctr", "cvr"))
    restart(registry, "lamps", **SAID)
    assert registry.find("lamps-r2").experiment.primary.metric == "ctr"


def test_a_draft_has_nothing_to_begin_again(registry):
    """It is refused, and nothing is written."""
    (registry.workspace.experiments / "idea.yaml").write_text(SPEC.replace("lamps", "idea"))
    with pytest.raises(RegistryError, match="idea is a draft"):
        restart(registry, "idea", **SAID)
    assert not (registry.workspace.experiments / "idea-r2.yaml").exists()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("lamps", "lamps-r2"),
        ("lamps-r2", "lamps-r3"),
        ("x-r9", "x-r10"),
        ("a" * 100, "a" * 97 + "-r2"),
    ],
)
def test_keys_of_runs_are_numbered(key, expected):
    """The run's number is counted on, within what a key may be long."""
    assert next_key(key) == expected
    assert next_key(key, {expected}) != expected


@pytest.mark.parametrize(
    "text",
    [
        SPEC,
        SPEC.replace("key: lamps  # ours", 'key: "lamps"'),
        ONE_LINE,
        SPEC.replace("key: lamps  # ours\n", "") + "key: lamps\n",
    ],
    ids=["plain", "quoted", "on one line", "last"],
)
def test_the_successor_says_the_same_under_its_own_key(tmp_path, text):
    """However the YAML is written, only the key differs, and where it can the text stays."""
    experiment = parse_experiment(text, path=tmp_path / "lamps.yaml")
    told = successor_text(experiment, text, "lamps-r2")
    assert parse_experiment(told, path=tmp_path / "x.yaml") == replace(experiment, key="lamps-r2")
    assert told.startswith("# Begins lamps again")
