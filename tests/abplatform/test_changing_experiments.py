"""What changes of a running experiment may and may not do, in whatever order they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.domain.experiment import State
from abplatform.errors import RegistryError, SpecError
from abplatform.traffic.config import build_config
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.files import keep_spec
from abplatform.traffic.registry.lookbook import RecordedLook, keep_looks
from abplatform.workspace import Settings, Workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)

SPEC = """\
key: {key}
layer: {{name: feed, share: {share}%}}
variants:
  {control}: {{control: true, weight: {weight}, creatives: {{source: baseline}}}}
  gen:
    weight: {other}
    creatives: {{source: generated, generator: caig, checkpoint: champion}}
metrics: {{primary: ctr}}
ramp: [{{traffic: 10%}}, {{traffic: 100%}}]
{more}
"""


def hours(number):
    return MONDAY + timedelta(hours=number)


@pytest.fixture
def registry(tmp_path):
    return registry_in(tmp_path)


def registry_in(folder):
    workspace = Workspace(folder, Settings(), clock=lambda: hours(24 * 30))
    workspace.experiments.mkdir(parents=True)
    return Registry(workspace)


def write(registry, key="beauty", *, share=40, weight=50, control="base", more=""):
    path = registry.workspace.experiments / f"{key}.yaml"
    path.write_text(
        SPEC.format(
            key=key, share=share, weight=weight, other=100 - weight, control=control, more=more
        )
    )
    return path


def test_an_apply_keeps_what_aliases_stood_for(registry):
    """A promotion since the start reaches no running experiment by an edit of something else."""
    write(registry)
    registry.start("beauty", at=hours(0), who="owner", resolved={"reward/champion": "a" * 64})
    write(registry, weight=60)
    promoted = {"reward/champion": "b" * 64, "prompt/champion": "c" * 64, "reward/next": "d" * 64}
    registry.apply("beauty", at=hours(1), who="owner", resolved=promoted)
    resolved = registry.find("beauty").resolved
    assert resolved == {"reward/champion": "a" * 64, "reward/next": "d" * 64}


def test_an_apply_cannot_lie_ahead(registry):
    """What an edit says of creatives and targeting holds at once, so no phase of it can wait."""
    write(registry)
    registry.start("beauty", at=hours(0), who="owner")
    write(registry, more="targeting: {country: [CN]}")
    with pytest.raises(RegistryError, match="lies ahead of now"):
        registry.apply("beauty", at=hours(24 * 30 + 1), who="owner")
    assert registry.find("beauty").experiment.targeting == {}


def test_a_key_in_two_files_is_not_applied(registry):
    """Nobody can tell which file is meant, so neither takes effect."""
    path = write(registry)
    registry.start("beauty", at=hours(0), who="owner")
    path.with_name("a.yaml").write_text(path.read_text().replace("share: 40", "share: 20"))
    with pytest.raises(SpecError, match=r"already in a\.yaml"):
        registry.apply("beauty", at=hours(1), who="owner")
    assert len(registry.find("beauty").phases) == 1


@pytest.mark.parametrize("ends", ["stop", "decide"])
def test_safe_edits_outlast_the_end(registry, ends):
    """What was edited while an experiment ran counts after its end; later edits do not."""
    path = write(registry)
    registry.start("beauty", at=hours(0), who="owner")
    write(registry, weight=70, more="learning: {retrain: never}\nbreakdowns: [{by: channel}]")
    running = registry.find("beauty").experiment
    assert running.learning.retrain == "never"
    if ends == "stop":
        registry.stop("beauty", at=hours(1), who="owner")
    else:
        registry.decide("beauty", "reject", at=hours(1), who="owner")
    write(registry, more="owner: other")
    assert registry.find("beauty").experiment == running
    path.unlink()
    assert registry.find("beauty").experiment == running


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ({}, {"more": "targeting: {attributes: {control: true}}"}, {"phase"}),
        (
            {"more": "targeting: {attributes: {control: true}}"},
            {"more": "targeting: {attributes: {control: false}}"},
            {"phase"},
        ),
        (
            {"more": "breakdowns: [{by: category}, {by: category, level: 2}]"},
            {"more": "breakdowns: [{by: category, shrink: false}, {by: category, level: 2}]"},
            {"safe"},
        ),
        ({"control": "control"}, {"control": "control", "weight": 60}, {"phase"}),
        ({"control": "control"}, {"control": "other"}, {"forbidden", "phase"}),
    ],
)
def test_names_mislead_no_kind(registry, before, after, kinds):
    """An edit is of the kind of its key, whatever people call variants and attributes."""
    write(registry, **before)
    registry.start("beauty", at=hours(0), who="owner")
    write(registry, **after)
    assert {one.kind for one in registry.edits()["beauty"].differences} == kinds


@pytest.mark.parametrize("kept", [True, False])
def test_looks_of_a_start_without_a_plan_stay_spent(registry, kept):
    """Starts by earlier versions kept no plan, and what their looks spent is spent all the same."""
    content = write(registry).read_bytes()
    registry.start("beauty", at=hours(0), who="owner")
    old = registry_in(registry.workspace.root / "old")
    write(old)
    keep_spec(old.workspace, content)
    (row,) = registry.rows()
    left_out = set() if kept else {"plan", "calendar", "holdout"}
    detail = {name: fact for name, fact in row.detail.items() if name not in left_out}
    with old.journal.pen() as pen:
        pen.append(
            "start", at=row.at, written_at=row.at, who="owner", experiment="beauty", detail=detail
        )
    found = {"gen": {"row": {"alpha_spent": 0.02, "crossed": False, "last": False}}}
    look = RecordedLook(1, hours(24 * 8).date(), hours(24 * 8), "v1", found)
    keep_looks(old.journal, "beauty", [look], written_at=hours(24 * 8), who="owner")
    write(old, weight=80)
    old.apply("beauty", at=hours(24 * 9), who="owner")
    assert old.find("beauty").plan["alpha"] == pytest.approx(0.03)


def test_a_stop_dated_ahead_is_served_until_then(tmp_path):
    """Decisions go on until the moment of the stop, as the registry says and analyses count."""
    now = [hours(1)]
    workspace = Workspace(tmp_path, Settings(), clock=lambda: now[0])
    workspace.experiments.mkdir()
    registry = Registry(workspace)
    write(registry)
    registry.start("beauty", at=hours(0), who="owner")
    registry.stop("beauty", at=hours(5), who="owner")
    now[0] = hours(5) - timedelta(seconds=1)
    assert build_config(workspace).experiments["beauty"].plan == registry.plan("beauty")
    assert registry.plan("beauty").running
    now[0] = hours(5)
    assert build_config(workspace).experiments == {}


def test_phases_that_lasted_no_time_are_not_compared(registry):
    """An apply at the very moment of the start leaves one phase, with the weights of now."""
    write(registry)
    registry.start("beauty", at=hours(0), who="owner")
    write(registry, weight=80)
    registry.apply("beauty", at=hours(0), who="owner")
    found = registry.find("beauty")
    assert [one.weights for one in found.compared_phases] == [{"base": 80.0, "gen": 20.0}]
    assert found.facts.running == ((hours(0), None),)


def test_a_backdated_start_takes_what_was_free_then(registry):
    """What a neighbour has given up since is not there to take at an earlier moment."""
    write(registry, share=80)
    registry.start("beauty", at=hours(0), who="owner")
    write(registry, share=20)
    registry.apply("beauty", at=hours(48), who="owner")
    write(registry, "home", share=50)
    with pytest.raises(RegistryError, match=r"20 % is free \(held by beauty 80 %\)"):
        registry.start("home", at=hours(24), who="owner")
    registry.start("home", at=hours(48), who="owner")


ACTS = ("start", "start", "pause", "resume", "ramp", "apply", "apply", "stop")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(ACTS),
            st.sampled_from(("one", "two", "three")),
            st.integers(0, 6),
            st.sampled_from((20, 50, 80)),
            st.sampled_from((20, 50)),
        ),
        min_size=4,
        max_size=16,
    )
)
def test_any_history_keeps_units_apart(tmp_path_factory, acts):
    """In whatever order and with whatever dates, no bucket of a layer has two experiments."""
    registry = registry_in(tmp_path_factory.mktemp("w"))
    write(registry, "one", share=80)
    registry.start("one", at=hours(0), who="owner")
    for key in ("two", "three"):
        write(registry, key)
    for act, key, hour, share, weight in acts:
        state = registry.find(key).state
        if act == "apply" or (act == "start" and state is State.DRAFT):
            write(registry, key, share=share, weight=weight)
        try:
            getattr(registry, act)(key, at=hours(hour), who="owner")
        except RegistryError:
            continue
    held = holdings(registry)
    for number, (key, since, until, slots) in enumerate(held):
        for other, begins, ends, taken in held[:number]:
            if key != other and since < ends and begins < until:
                assert not any(a.low < b.high and b.low < a.high for a in slots for b in taken)


def holdings(registry):
    """Who holds which slots from when until when; those of a pause stay taken."""
    found = []
    for key, one in registry.usable()[0].items():
        moments = [phase.starts_at for phase in one.phases] + [one.ended_at or hours(10_000)]
        for phase, until in zip(one.phases, moments[1:], strict=True):
            if phase.starts_at < until:
                found.append((key, phase.starts_at, until, phase.slots))
    return found
