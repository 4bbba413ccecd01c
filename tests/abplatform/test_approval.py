from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.creatives import append_lineage
from abplatform.domain.catalog import Lineage, Placement
from abplatform.domain.experiment import Approval
from abplatform.domain.spec import parse_experiment
from abplatform.errors import SpecError
from abplatform.traffic.approval import ApprovalState, Place, approval_state, clauses_of, why_not
from abplatform.traffic.config import ConfigReader, build_config
from abplatform.traffic.decisions import Request, RequestContext, decide
from abplatform.traffic.registry import Registry, Review
from abplatform.workspace import Workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HERE = Place("feed", "CN", MONDAY)
YAML = """key: lamps
approval: {approval}
variants:
  baseline: {{control: true, creatives: {{source: baseline}}, weight: 1}}
  generated: {{creatives: {{source: generated, per_product: 4}}, weight: 99}}
metrics: {{primary: ctr}}
"""


def made(name, source="generated", *, fit=0.8, predicted=None):
    place = Placement(0, 0, 1, 1)
    screening = {} if predicted is None else {"predicted_win": predicted, "screened": True}
    inspector = {"usable": True, "match": True, "scores": {"fit": fit}}
    return Lineage(
        name, "p1", source, "i", "c", place, {}, "", 0, "r/1", {}, inspector, screening=screening
    )


def shop(folder, approval="human", names=("one", "two")):
    found = Workspace(folder, clock=lambda: MONDAY)
    found.experiments.mkdir(parents=True)
    (found.experiments / "lamps.yaml").write_text(YAML.format(approval=approval))
    found.catalog.mkdir()
    rows = "product_id,image,title,category\np1,p1.png,Lamp,home/light\n"
    (found.catalog / "products.csv").write_text(rows)
    append_lineage(found.creatives, [made("plain", "baseline"), *map(made, names)])
    Registry(found).start("lamps", at=MONDAY, who="t")
    return found


def say(workspace, name, decision="approved", **where):
    Registry(workspace).record_review(Review(name, decision, MONDAY, "t", **where))


def shown(config, *, channel=None, country=None, at=MONDAY, unit="u1"):
    context = RequestContext(channel=channel, country=country, product_ids=["p1"])
    request = Request(unit_id=unit, experiment="lamps", context=context)
    return decide(config, request, decision_id=f"d-{unit}", at=at)


def test_a_set_is_approved_for_channels_and_countries(tmp_path):
    """What is approved for a channel and a country is shown there and nowhere else."""
    workspace = shop(tmp_path)
    say(workspace, "one", channels=("feed",), countries=("CN", "NO"))
    config = build_config(workspace)
    assert shown(config, channel="feed", country="CN").eligible == ("one",)
    elsewhere = [("story", "CN"), ("feed", "US"), (None, "CN"), ("feed", None), (None, None)]
    for channel, country in elsewhere:
        record = shown(config, channel=channel, country=country)
        assert record.eligible == ("plain",)
        assert record.excluded == {"one": "not_approved_here", "two": "pending_review"}


def test_an_approval_ends(tmp_path):
    """From the moment that a review names, a set is expired, without anybody doing anything."""
    workspace = shop(tmp_path)
    say(workspace, "one", until=MONDAY + timedelta(days=2))
    config = build_config(workspace)
    assert shown(config, at=MONDAY + timedelta(days=1, hours=23)).eligible == ("one",)
    late = shown(config, at=MONDAY + timedelta(days=2))
    assert late.eligible == ("plain",)
    assert late.excluded["one"] == "expired"


def test_the_newest_word_that_covers_a_place_counts(tmp_path):
    """Rejected everywhere and then approved for one channel, it is shown there alone."""
    workspace = shop(tmp_path)
    say(workspace, "one", "approved")
    say(workspace, "one", "rejected", reason="claim")
    say(workspace, "one", "approved", channels=("feed",))
    config = build_config(workspace)
    assert shown(config, channel="feed").eligible == ("one",)
    assert shown(config, channel="story").excluded["one"] == "rejected"


def test_rules_let_in_what_meets_them(tmp_path):
    """Rules ask for fit and predicted win; what was never screened has no win to miss."""
    workspace = shop(tmp_path, "{min_fit: 0.6, min_win: 0.5}", names=())
    append_lineage(
        workspace.creatives,
        [
            made("calm", fit=0.7, predicted=0.6),
            made("clashing", fit=0.5, predicted=0.9),
            made("dull", fit=0.9, predicted=0.4),
            made("unscreened", fit=0.9),
        ],
    )
    record = shown(build_config(workspace))
    assert record.eligible == ("calm", "unscreened")
    assert record.excluded == {"clashing": "min_fit", "dull": "min_win"}
    say(workspace, "dull", "approved")  # a person's word counts before the rules'
    assert shown(build_config(workspace)).eligible == ("calm", "dull", "unscreened")


def test_rules_hold_where_they_say(tmp_path):
    """Rules for one country let nothing in elsewhere."""
    workspace = shop(tmp_path, "{by: rules, countries: [CN]}")
    config = build_config(workspace)
    assert shown(config, country="CN").eligible == ("one", "two")
    assert shown(config, country="NO").eligible == ("plain",)


def test_a_baseline_needs_no_approval_but_can_be_rejected(tmp_path):
    """A shop's own pictures are shown until somebody says no, also at one place only."""
    workspace = shop(tmp_path)
    assert shown(build_config(workspace)).eligible == ("plain",)
    say(workspace, "plain", "rejected", reason="legal", countries=("NO",))
    config = build_config(workspace)
    assert shown(config, country="CN").eligible == ("plain",)
    assert shown(config, country="NO").action == "hold"


def test_a_rejection_is_heeded_while_no_config_can_be_read(tmp_path):
    """With a lineage that cannot be read, a rejection for one channel is still obeyed."""
    workspace = shop(tmp_path)
    say(workspace, "one")
    reader = ConfigReader(workspace)
    config = reader.read()
    say(workspace, "one", "rejected", reason="ugly", channels=("feed",))
    heeded = reader.heed(config)
    assert shown(heeded, channel="feed").eligible == ("plain",)
    assert shown(heeded, channel="story").eligible == ("one",)


words = st.tuples(
    st.sampled_from(["approved", "rejected"]),
    st.sampled_from([(), ("feed",), ("story",), ("feed", "story")]),
    st.sampled_from([(), ("CN",), ("NO",)]),
    st.sampled_from([None, 1, 3]),
)


@settings(max_examples=150, deadline=None)
@given(
    said=st.lists(words, max_size=6),
    by=st.sampled_from(["human", "rules"]),
    channel=st.sampled_from([None, "feed", "story"]),
    country=st.sampled_from([None, "CN", "NO"]),
    day=st.integers(0, 4),
)
def test_nothing_unapproved_is_shown_after_any_history(said, by, channel, country, day):
    """Whatever was said: shown only if the newest word that holds at the place agrees."""
    reviews = [
        Review(
            "one",
            decision,
            MONDAY,
            "t",
            channels=channels,
            countries=countries,
            until=MONDAY + timedelta(days=days) if days and decision == "approved" else None,
        )
        for decision, channels, countries, days in said
    ]
    place = Place(channel, country, MONDAY + timedelta(days=day))
    allowed = why_not(clauses_of(made("one"), reviews, Approval(by=by)), place) is None
    expected = by == "rules"
    for review in reviews:  # the slow and obvious way: the last one that covers the place wins
        if (not review.channels or channel in review.channels) and (
            not review.countries or country in review.countries
        ):
            expected = review.decision == "approved" and (
                review.until is None or place.at < review.until
            )
    assert allowed == expected


@pytest.mark.parametrize(
    ("creative", "reviews", "approval", "withdrawn", "state"),
    [
        (
            Lineage("a", "p", "generated", "", "", Placement(0, 0, 1, 1), {}, "", 0, "r", {}, {}),
            [],
            None,
            False,
            "generated",
        ),
        (made("a"), [], None, False, "pending"),
        (made("a"), [], Approval(by="human"), False, "pending"),
        (made("a"), [], Approval(), False, "approved"),
        (made("a", fit=0.1), [], Approval(min_fit=0.5), False, "inspected"),
        (made("a"), [("approved", None)], None, False, "approved"),
        (made("a"), [("approved", MONDAY)], None, False, "expired"),
        (made("a"), [("approved", None), ("rejected", None)], None, False, "rejected"),
        (made("a"), [("approved", None)], None, True, "withdrawn"),
    ],
)
def test_every_state_of_a_life(creative, reviews, approval, withdrawn, state):
    """Each way through generated, inspected, pending and on ends in its state."""
    said = [Review("a", word, MONDAY, "t", until=until) for word, until in reviews]
    found, _ = approval_state(creative, said, HERE, approval=approval, withdrawn=withdrawn)
    assert found is ApprovalState(state)


def test_reviews_survive_the_journal(tmp_path):
    """Scope, end, reason and note are read back as they were said."""
    workspace = shop(tmp_path)
    review = Review(
        "one",
        "approved",
        MONDAY,
        "t",
        note="for the sale",
        channels=("feed",),
        countries=("CN",),
        until=MONDAY + timedelta(days=9),
    )
    Registry(workspace).record_review(review)
    assert Registry(workspace).every_review() == [review]


@pytest.mark.parametrize(
    ("approval", "complaint"),
    [
        ("{by: human, min_fit: 0.5}", "no effect where a person approves"),
        ("{min_fit: 2}", "min_fit"),
        ("{minfit: 0.5}", "min_fit"),
        ("nobody", "rules"),
        ("{channels: []}", "channels"),
    ],
)
def test_bad_approval_is_named(approval, complaint):
    """A mistake in the rules is named with its line and the nearest valid word."""
    with pytest.raises(SpecError, match=complaint) as caught:
        parse_experiment(YAML.format(approval=approval), path=Path("lamps.yaml"))
    assert caught.value.line == 2


def test_a_baseline_is_approved_until_somebody_says_no():
    """The state of the shop's own picture is what decisions make of it."""
    plain = made("a", "baseline")
    assert approval_state(plain, [], HERE)[0] is ApprovalState.APPROVED
    no = Review("a", "rejected", MONDAY, "t", reason="legal")
    assert approval_state(plain, [no], HERE)[0] is ApprovalState.REJECTED
