from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.domain.assignment import BUCKETS, assign, assign_many, bucket, share_range
from abplatform.domain.experiment import BucketRange, Layer, State, Verdict
from abplatform.domain.spec import parse_experiment
from abplatform.errors import RegistryError, SpecError
from abplatform.traffic.config import build_config
from abplatform.traffic.registry import Registry, Review, resolve_aliases
from abplatform.traffic.registry.slots import free_ranges, take_slots, width
from abplatform.workspace import Settings, Workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
UNITS = [f"user-{number}" for number in range(2_000)]

SPEC = """\
key: {key}
layer: {{name: feed, share: {share}}}
variants:
  base: {{control: true, weight: 50}}
  gen: {{weight: 50}}
metrics: {{primary: ctr}}
ramp: [{{traffic: 10%, hold: 24h}}, {{traffic: 100%}}]
"""


def hours(number):
    return MONDAY + timedelta(hours=number)


@pytest.fixture
def registry(tmp_path):
    workspace = Workspace(tmp_path, Settings(), clock=lambda: hours(24 * 30))
    workspace.experiments.mkdir()
    return Registry(workspace)


def draft(registry, key="beauty", share="40%", text=SPEC):
    path = registry.workspace.experiments / f"{key}.yaml"
    path.write_text(text.format(key=key, share=share))
    return path


def started(registry, key="beauty", share="40%", at=MONDAY):
    path = draft(registry, key, share)
    registry.start(key, at=at, who="owner")
    return path


def test_a_key_in_two_files_is_not_started(registry):
    """Nobody can tell which file is meant, so neither starts; other experiments do."""
    draft(registry)
    draft(registry, key="other")
    twin = registry.workspace.experiments / "twin.yaml"
    twin.write_text(SPEC.format(key="beauty", share="20%"))
    with pytest.raises(SpecError, match=r"twin.yaml:1: .*already in beauty.yaml"):
        registry.start("beauty", at=MONDAY, who="owner")
    assert registry.find("beauty").state is State.DRAFT
    registry.start("other", at=MONDAY, who="owner")
    twin.unlink()
    registry.start("beauty", at=MONDAY, who="owner")


def test_life_of_an_experiment(registry):
    """From draft to running → paused → running → stopped → decided, with who, when and what."""
    draft(registry)
    assert registry.find("beauty").state is State.DRAFT
    registry.start("beauty", at=hours(0), who="owner")
    registry.pause("beauty", at=hours(5), who="reviewer", reason="shelf is empty")
    assert registry.find("beauty").state is State.PAUSED
    registry.resume("beauty", at=hours(9), who="owner")
    registry.ramp("beauty", at=hours(30), who="owner")
    assert registry.find("beauty").traffic == 1.0
    registry.stop("beauty", at=hours(99), who="owner")
    registry.decide("beauty", "ship", at=hours(100), who="owner", detail={"lift": 0.05})
    found = registry.find("beauty")
    assert (found.state, found.verdict) == (State.DECIDED, Verdict.SHIP)
    assert (found.started_at, found.ended_at) == (hours(0), hours(99))
    told = [(row.action, row.who, row.at) for row in registry.history("beauty")]
    assert told == [
        ("start", "owner", hours(0)),
        ("pause", "reviewer", hours(5)),
        ("resume", "owner", hours(9)),
        ("ramp", "owner", hours(30)),
        ("stop", "owner", hours(99)),
        ("decide", "owner", hours(100)),
    ]
    spans = [(phase.number, phase.starts_at, phase.ends_at) for phase in found.phases]
    assert spans == [(1, hours(0), hours(5)), (2, hours(9), hours(30)), (3, hours(30), hours(99))]


def test_spec_bytes_are_kept(registry):
    """The bytes that were started are kept under their sha256 and survive the file's end."""
    path = started(registry)
    content = path.read_bytes()
    path.unlink()
    found = registry.find("beauty")
    kept = registry.workspace.specs / f"{found.spec_sha256}.yaml"
    assert kept.read_bytes() == content
    assert registry.history("beauty")[0].detail["spec_sha256"] == found.spec_sha256
    kept.write_bytes(content + b"# more\n")
    with pytest.raises(RegistryError, match="bytes were changed") as caught:
        registry.find("beauty")
    assert caught.value.path == kept


def test_slots_are_the_lowest_free_ones(registry):
    """A layer fills from below in order of start, and a gap is reused, split if need be."""
    for key, share in (("one", "20%"), ("two", "30%"), ("three", "40%")):
        started(registry, key, share)
    registry.stop("one", at=hours(1), who="owner")
    registry.stop("three", at=hours(1), who="owner")
    started(registry, "four", "60%", at=hours(2))
    fifth, half = BUCKETS // 5, BUCKETS // 2
    (low, high) = registry.find("four").phases[0].slots
    assert low == BucketRange(0, fifth)
    assert high.low == registry.find("two").phases[0].slots[0].high
    assert abs(high.low - half) <= 1
    assert width((low, high)) == BUCKETS * 6 // 10


def test_layer_keeps_units_apart(registry):
    """No unit is ever in two running experiments of one layer."""
    for key, share in (("one", "30%"), ("two", "50%"), ("three", "20%")):
        draft(registry, key, share, SPEC.replace("traffic: 10%, hold: 24h", "traffic: 50%"))
        registry.start(key, at=MONDAY, who="owner")
    exposed = [assign_many(registry.plan(key), UNITS) >= 0 for key in ("one", "two", "three")]
    assert all(each.any() for each in exposed)
    assert (sum(each.astype(int) for each in exposed) <= 1).all()


def test_overbooked_layer_is_refused(registry):
    """An experiment for which its layer has no room is refused by file, line and who is there."""
    started(registry, "one", "70%")
    path = draft(registry, "two", "40%")
    with pytest.raises(
        RegistryError, match=r"40 % is asked for and 30 % is free.*one 70 %"
    ) as caught:
        registry.start("two", at=MONDAY, who="owner")
    assert (caught.value.path, caught.value.line) == (path, 2)
    assert "at most 30 %" in caught.value.remedy
    assert registry.find("two").state is State.DRAFT
    with pytest.raises(RegistryError, match="over-booked"):
        registry.plan("two")


def test_backdated_start_meets_who_was_there(registry):
    """Slots that were freed since count as taken for a start dated before that."""
    started(registry, "one", "70%", at=hours(0))
    registry.stop("one", at=hours(10), who="owner")
    draft(registry, "two", "70%")
    with pytest.raises(RegistryError, match="over-booked"):
        registry.start("two", at=hours(5), who="owner")
    registry.start("two", at=hours(10), who="owner")


def test_one_layer_is_split_by_one_unit(registry):
    """Two experiments of one layer cannot randomise different units: they could share a person."""
    started(registry, "one", "20%")
    path = draft(registry, "two", "20%", SPEC + "unit: request_id\n")
    with pytest.raises(
        RegistryError, match=r"split by user_id \(one\), two by request_id"
    ) as caught:
        registry.start("two", at=MONDAY, who="owner")
    assert (caught.value.path, caught.value.line) == (path, 2)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=6), st.integers(1, 60))
def test_taken_slots_are_free_and_lowest(held, percent):
    """Whatever is taken, what comes next is free, as wide as asked, and leaves no lower gap."""
    part = BUCKETS // 64
    ranges = tuple(BucketRange(low * part, (low + wide) * part) for low, wide in held)
    layer = Layer("feed", percent / 100)
    free = width(free_ranges(ranges))
    wanted = BUCKETS * percent // 100
    if free < wanted:
        with pytest.raises(RegistryError, match="over-booked"):
            take_slots(layer, {"others": ranges})
        return
    taken = take_slots(layer, {"others": ranges})
    assert width(taken) == wanted
    assert not any(
        mine.low < theirs.high and theirs.low < mine.high for mine in taken for theirs in ranges
    )
    below = [gap for gap in free_ranges([*ranges, *taken]) if gap.low < taken[-1].low]
    assert below == []


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


REWEIGHTED = (
    "{control: true, weight: 50}\n  gen: {weight: 50}",
    "{control: true, weight: 60}\n  gen: {weight: 40}",
)


@pytest.mark.parametrize(
    ("before", "after", "line", "told", "kind"),
    [
        (*REWEIGHTED, 4, "variants.base.weight: 60, was 50", "phase"),
        ("share: 40%", "share: 50%", 2, "layer.share: 0.5, was 0.4", "phase"),
        ("primary: ctr", "primary: cvr", 6, "primary.metric: cvr, was ctr", "forbidden"),
        ("key: beauty", "key: beauty\nowner: growth", 2, "owner: growth, was nothing", "safe"),
        ("key: beauty", "key: beauty\nforced: {gen: [qa]}", 2, "forced.gen is new", "safe"),
        ("key: beauty", "key: beauty\ntargeting: {country: [CN]}", 2, "targeting.country is new",
         "phase"),
        ("key: beauty", "key: beauty2", 1, "key: beauty2, was beauty", "forbidden"),
        ("key: beauty", "key: beauty\nunit: request_id", 2, "unit: request_id, was user_id",
         "forbidden"),
        ("key: beauty", "key: beauty\nanalysis: {min_runtime: 3d}", 2, "runtime: 72h, was 168h",
         "forbidden"),
        ("name: feed", "name: home", 2, "layer.name: home, was feed", "forbidden"),
        ("base: {control: true, weight: 50}\n  gen: {weight: 50}",
         "base: {weight: 50}\n  gen: {control: true, weight: 50}", 4,
         "variants.base.control: False, was True", "forbidden"),
    ],
)  # fmt: skip
def test_every_edit_is_of_one_kind(registry, before, after, line, told, kind):  # noqa: PLR0917 -- a table
    """An edit is safe, needs a phase or is forbidden; each difference has its line."""
    path = started(registry)
    was = registry.find("beauty").experiment
    edit(path, before, after)
    found = registry.edits()["beauty"].differences
    assert any(told in one.told and (one.kind, one.line) == (kind, line) for one in found)
    now = registry.find("beauty").experiment
    assert (now == was) == (kind != "safe")
    refusal = registry.unapplied().get("beauty")
    assert (refusal is None) == (kind == "safe")
    if refusal:
        assert (refusal.path, refusal.line) == (path, line)
        assert told in refusal.message


def test_nothing_stops_an_edited_experiment(registry):
    """Whatever is written into its file, an experiment runs on, ramps, pauses and stops."""
    path = started(registry)
    for text in ("primary: cvr", "key: ["):
        edit(path, path.read_text(), path.read_text().replace("primary: ctr", text))
        assert registry.find("beauty").experiment.primary.metric == "ctr"
    assert registry.ramp("beauty", at=hours(48), who="owner").traffic == 1.0
    registry.pause("beauty", at=hours(49), who="owner")
    registry.resume("beauty", at=hours(50), who="owner")
    registry.stop("beauty", at=hours(51), who="owner")
    assert registry.find("beauty").state is State.STOPPED


def test_applying_opens_a_phase_and_moves_no_more_than_it_must(registry):
    """Other weights open a phase in which only the buckets move that have to."""
    path = started(registry)
    before = registry.find("beauty").phases[-1]
    edit(path, *REWEIGHTED)
    applied = registry.apply("beauty", at=hours(48), who="owner", reason="wider")
    assert [one.place for one in applied] == ["variants.base.weight", "variants.gen.weight"]
    found = registry.find("beauty")
    phase = found.phases[-1]
    assert (phase.number, phase.exposure, phase.slots) == (2, before.exposure, before.slots)
    assert found.phases[0].ends_at == phase.starts_at == hours(48)
    assert found.experiment.weights == {"base": 60.0, "gen": 40.0}
    moved = [u for u in map(str, range(4_000)) if owner(before, u) != owner(phase, u)]
    assert {(owner(before, unit), owner(phase, unit)) for unit in moved} == {("gen", "base")}
    assert abs(len(moved) - 400) < 4 * (4_000 * 0.1 * 0.9) ** 0.5
    assert registry.edits() == {}
    row = registry.history("beauty")[-1]
    assert (row.action, row.detail["reason"]) == ("apply", "wider")


def owner(phase, unit):
    held = bucket(unit, "experiment:beauty")
    return next(name for name, ranges in phase.variants.items() if any(held in r for r in ranges))


def test_applying_again_changes_nothing(registry):
    """With nothing left to apply no row is written."""
    path = started(registry)
    edit(path, "share: 40%", "share: 50%")
    assert registry.apply("beauty", at=hours(48), who="owner")
    rows = len(registry.rows())
    assert registry.apply("beauty", at=hours(49), who="owner") == ()
    assert len(registry.rows()) == rows


def test_forbidden_edits_are_not_applied(registry):
    """One forbidden edit holds back all others, with the line and what to do."""
    path = started(registry)
    edit(path, *REWEIGHTED)
    edit(path, "primary: ctr", "primary: cvr")
    with pytest.raises(RegistryError, match="cvr, was ctr") as caught:
        registry.apply("beauty", at=hours(48), who="owner")
    assert (caught.value.path, caught.value.line) == (path, 6)
    assert len(registry.find("beauty").phases) == 1


def test_a_larger_share_keeps_what_the_experiment_has(registry):
    """A layer's slots grow at the lowest free ones and shrink from the high end."""
    path = started(registry)
    own = registry.find("beauty").phases[-1].slots
    edit(path, "share: 40%", "share: 60%")
    registry.apply("beauty", at=hours(48), who="owner")
    more = registry.find("beauty").phases[-1].slots
    assert width(more) == share_range(0.6).high
    left = free_ranges([*own, *free_ranges(more)])  # what is new lies outside of what was own
    assert width(left) == width(more) - width(own)
    edit(path, "share: 60%", "share: 10%")
    registry.apply("beauty", at=hours(49), who="owner")
    assert registry.find("beauty").phases[-1].slots == (share_range(0.1),)


def test_comments_are_no_edit(registry):
    """Comments and blank lines may change while an experiment runs."""
    path = started(registry)
    path.write_text("# looks good\n\n" + path.read_text())
    assert registry.edits() == {}


def test_ramp_may_be_edited(registry):
    """The ramp follows the YAML on disk, even one that was edited after the start."""
    path = started(registry)
    edit(path, "{traffic: 100%}", "{traffic: 40%}, {traffic: 100%}")
    assert registry.ramp("beauty", at=hours(24), who="owner").traffic == 0.4
    assert registry.ramp("beauty", at=hours(24), who="owner").traffic == 1.0
    with pytest.raises(RegistryError, match="last step"):
        registry.ramp("beauty", at=hours(25), who="owner")


def test_ramp_holds_its_step(registry):
    """A step is held as long as the YAML says, and a pause does not reset it."""
    started(registry)
    registry.pause("beauty", at=hours(3), who="owner")
    registry.resume("beauty", at=hours(4), who="owner")
    with pytest.raises(RegistryError, match="until 2026-11-03 00:00:00 UTC") as caught:
        registry.ramp("beauty", at=hours(23), who="owner")
    assert caught.value.line == 7
    registry.ramp("beauty", at=hours(24), who="owner")


def test_ramping_keeps_variants(registry):
    """Whoever was exposed before the ramp has the same variant after it."""
    started(registry)
    before = assign_many(registry.plan("beauty", hours(1)), UNITS)
    registry.ramp("beauty", at=hours(24), who="owner")
    after = assign_many(registry.plan("beauty", hours(25)), UNITS)
    assert 0 < (before >= 0).sum() < (after >= 0).sum()
    assert (after[before >= 0] == before[before >= 0]).all()
    again = assign_many(registry.plan("beauty", hours(1)), UNITS)
    assert (again == before).all()


def test_draft_previews_what_start_gives(registry):
    """A draft's preview is what the units get once it has started."""
    started(registry, "other", "30%")
    draft(registry)
    preview = [assign(registry.plan("beauty"), unit) for unit in UNITS[:200]]
    registry.start("beauty", at=MONDAY, who="owner")
    assert [assign(registry.plan("beauty"), unit) for unit in UNITS[:200]] == preview
    assert any(one.variant for one in preview)


@pytest.mark.parametrize(
    ("moment", "phase", "running"),
    [(-1, 1, False), (0, 1, True), (5, 1, False), (9, 2, True), (30, 3, True), (99, 3, False)],
)
def test_plan_knows_the_moment(registry, moment, phase, running):
    """At any moment the plan is the phase in force, running or not."""
    started(registry)
    registry.pause("beauty", at=hours(5), who="owner")
    registry.resume("beauty", at=hours(9), who="owner")
    registry.ramp("beauty", at=hours(30), who="owner")
    registry.stop("beauty", at=hours(99), who="owner")
    plan = registry.plan("beauty", hours(moment))
    assert (plan.phase.number, plan.running) == (phase, running)


def test_wrong_turns_are_refused(registry):
    """What a state does not allow is refused and leaves no row."""
    draft(registry)
    for act in (registry.pause, registry.resume, registry.ramp, registry.stop):
        with pytest.raises(RegistryError, match="is a draft"):
            act("beauty", at=MONDAY, who="owner")
    registry.start("beauty", at=MONDAY, who="owner")
    for act in (registry.start, registry.resume):
        with pytest.raises(RegistryError, match="is running"):
            act("beauty", at=hours(1), who="owner")
    registry.stop("beauty", at=hours(1), who="owner")
    for act in (registry.start, registry.pause, registry.resume, registry.ramp, registry.stop):
        with pytest.raises(RegistryError, match="is stopped"):
            act("beauty", at=hours(2), who="owner")
    assert len(registry.rows()) == 2


def test_time_does_not_run_back(registry):
    """A change dated before the last one is refused."""
    started(registry, at=hours(10))
    with pytest.raises(RegistryError, match="lies before its last change"):
        registry.stop("beauty", at=hours(9), who="owner")


def test_unknown_key_names_the_nearest(registry):
    """A mistyped key is answered with the nearest one."""
    draft(registry)
    with pytest.raises(RegistryError, match="'beauty'"):
        registry.plan("beuty")


def test_broken_neighbour_stops_nobody(registry):
    """A broken YAML file beside a running experiment hinders neither its plan nor its end."""
    started(registry)
    broken = registry.workspace.experiments / "broken.yaml"
    broken.write_text("key: [")
    assert registry.plan("beauty").running
    with pytest.raises(SpecError) as caught:
        registry.experiments()
    assert caught.value.path == broken
    assert len(registry.usable()[1]) == 1
    registry.stop("beauty", at=hours(1), who="owner")


def test_one_key_in_two_files_is_refused(registry):
    """Two files with one key are refused, naming both."""
    draft(registry)
    (registry.workspace.experiments / "copy.yaml").write_text(
        SPEC.format(key="beauty", share="40%")
    )
    with pytest.raises(SpecError, match=r"already in beauty\.yaml") as caught:
        registry.experiments()
    assert caught.value.code == "duplicate_experiment"


def test_external_experiments_need_no_start(registry):
    """An experiment assigned elsewhere counts as running, is not started and can be decided."""
    text = "assignment: external\n" + SPEC.replace("layer: {{name: feed, share: {share}}}\n", "")
    draft(
        registry, text=text.replace("ramp: [{{traffic: 10%, hold: 24h}}, {{traffic: 100%}}]\n", "")
    )
    assert registry.find("beauty").state is State.RUNNING
    for act in (
        lambda: registry.start("beauty", at=MONDAY, who="owner"),
        lambda: registry.plan("beauty"),
    ):
        with pytest.raises(RegistryError, match="come from the log"):
            act()
    registry.decide("beauty", "ship", at=MONDAY, who="owner")
    found = registry.find("beauty")
    assert (found.state, found.verdict, found.started_at) == (State.DECIDED, Verdict.SHIP, None)


def test_deciding_stops_and_repeats_without_effect(registry):
    """Deciding a running experiment stops it too; the same verdict again writes nothing."""
    started(registry)
    registry.decide("beauty", Verdict.REJECT, at=hours(200), who="owner")
    registry.decide("beauty", Verdict.REJECT, at=hours(300), who="owner")
    assert [row.action for row in registry.rows()] == ["start", "stop", "decide"]
    with pytest.raises(RegistryError, match="is decided"):
        registry.decide("beauty", Verdict.SHIP, at=hours(300), who="owner")


def test_continue_decides_nothing(registry):
    """The verdict `continue` is no decision."""
    started(registry)
    with pytest.raises(RegistryError, match="decides nothing"):
        registry.decide("beauty", "continue", at=hours(200), who="owner")


def test_newest_review_counts(registry):
    """A creative's newest review is what counts; the older one stays in the journal."""
    registry.record_review(Review("c1", "rejected", hours(1), "owner", reason="too dark"))
    registry.record_review(Review("c1", "approved", hours(2), "reviewer"))
    review = registry.reviews()["c1"]
    assert (review.decision, review.who, review.reason) == ("approved", "reviewer", None)
    assert len(registry.rows()) == 2


def test_holdout_comes_from_the_settings(tmp_path):
    """The workspace's holdout is part of every plan."""
    registry = Registry(Workspace(tmp_path, Settings(holdout=1.0), clock=lambda: MONDAY))
    registry.workspace.experiments.mkdir()
    draft(registry)
    assert assign(registry.plan("beauty"), "u").reason == "holdout"


def test_a_changed_holdout_takes_nobody_away(tmp_path):
    """What abp.yaml held out at the start holds for as long as the experiment runs, and re-runs."""
    small, large = (
        Registry(Workspace(tmp_path, Settings(holdout=share), clock=lambda: MONDAY))
        for share in (0.1, 0.4)
    )
    small.workspace.experiments.mkdir()
    for key in ("early", "late"):
        draft(small, key, share="20%")
    small.start("early", at=MONDAY, who="owner")
    units = [f"user-{number}" for number in range(500)]
    before = assign_many(small.plan("early"), units)
    assert small.plan("early") == large.plan("early")
    large.pause("early", at=hours(1), who="owner")
    large.resume("early", at=hours(2), who="owner")
    assert (assign_many(large.plan("early", hours(3)), units) == before).all()
    large.start("late", at=hours(3), who="owner")
    assert small.plan("late", hours(4)).holdout == 0.4
    assert build_config(large.workspace).experiments["early"].plan.holdout == 0.1


def test_aliases_are_resolved_at_the_start(registry):
    """What `champion` stood for at the start is a fact in the journal."""
    creatives = "creatives: {{source: generated, generator: caig, checkpoint: champion}}"
    text = SPEC.replace("gen: {{weight: 50}}", f"gen: {{{{weight: 50, {creatives}}}}}")
    experiment = parse_experiment(text.format(key="k", share="10%"), path="k.yaml")
    known = {
        "reward": {"champion": "a" * 64, "previous": "b" * 64},
        "prompt": {"challenger": "c" * 64},
    }
    resolved = resolve_aliases(experiment, known)
    assert resolved == {"reward/champion": "a" * 64}
    draft(registry, text=text)
    registry.start("beauty", at=MONDAY, who="owner", resolved=resolved)
    assert registry.find("beauty").resolved == resolved


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from(["start", "pause", "resume", "ramp", "stop", "decide"]), max_size=12)
)
def test_any_order_of_calls_keeps_the_rules(tmp_path_factory, calls):
    """However people call, states follow the picture and phases never overlap."""
    registry = Registry(Workspace(tmp_path_factory.mktemp("w"), Settings(), clock=lambda: hours(0)))
    registry.workspace.experiments.mkdir()
    draft(registry)
    for number, name in enumerate(calls):
        more = ("ship",) if name == "decide" else ()
        try:
            getattr(registry, name)("beauty", *more, at=hours(30 * number), who="owner")
        except RegistryError:
            continue
    found = registry.find("beauty")
    ends = [phase.ends_at for phase in found.phases]
    begins = [phase.starts_at for phase in found.phases]
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))
    assert (found.state is State.RUNNING) == (bool(ends) and ends[-1] is None)
    assert [phase.number for phase in found.phases] == list(range(1, len(ends) + 1))
