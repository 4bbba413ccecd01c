"""From rows to a scorecard: what counts, what is left out, and what the JSON holds."""

import json
import math
from collections import defaultdict
from datetime import timedelta

import pytest

from abplatform.analysis.scorecard import Question, Run
from abplatform.analysis.verdict import analyze
from abplatform.domain.catalog import Lineage, Placement
from abplatform.domain.experiment import (
    Analysis,
    Breakdown,
    EventWindows,
    Experiment,
    Guardrail,
    Phase,
    PrimaryMetric,
    Variant,
)
from abplatform.stats.ratio import RatioSums, contrast

EXPERIMENT = Experiment(
    key="e",
    variants=(Variant("baseline", 50, control=True), Variant("generated", 50)),
    primary=PrimaryMetric("ctr"),
    analysis=Analysis(test="fixed", max_runtime=timedelta(days=7)),
)
SCORECARD = {
    *("experiment", "as_of", "data_version", "status", "units", "srm", "lifts"),
    *("heterogeneity", "excluded", "warnings", "verdict"),
    *("looks", "estimate_at_decision", "pairwise", "corrected_lifts"),
    *("novelty", "calendar", "interactions", "bayes", "cuped"),
}
LIFT = """
    metric category breakdown level control treatment units_control units_treatment n_control
    n_treatment k_control k_treatment rate_control rate_treatment absolute_lift se_absolute
    relative_lift ci_low ci_high p_value log10_p p_adjusted sequential_low sequential_high
    sequential_p look information_fraction boundary alpha_spent decided_at anytime_low
    anytime_high anytime_p e_value shrunken_lift shrunken_low shrunken_high p_better
    design_effect significant undetermined
"""


def slow_sums(rows, variant, *, chosen=lambda row: True):
    """Sums over units by plain Python, from rows that count."""
    units = defaultdict(lambda: [0, 0])
    for row in rows:
        if row["variant"] == variant and chosen(row):
            units[row["unit_id"]][0] += 1
            units[row["unit_id"]][1] += row["clicked"]
    return RatioSums.of_units([n for n, _ in units.values()], [k for _, k in units.values()])


def lift_of(scorecard, *, metric="ctr", breakdown=None, level=None):
    return next(
        lift
        for lift in scorecard.lifts
        if (lift.metric, lift.breakdown, lift.level) == (metric, breakdown, level)
    )


def codes(scorecard):
    return {note.code for note in scorecard.warnings}


def test_json_has_exactly_the_fields_of_the_contract(show, make, draw, run):
    """The object holds the contract's fields, in its order for lifts, and no NaN or infinity."""
    rows = draw(users=300)
    rows[0]["category"] = None
    with show(rows) as warehouse:
        data = analyze(warehouse, make(guardrails=(Guardrail("cvr"),)), run=run).to_json()
    json.dumps(data, allow_nan=False)
    assert data.keys() == SCORECARD
    assert all(list(lift) == LIFT.split() for lift in data["lifts"])
    assert data["srm"].keys() >= {"observed", "expected", "p_value", "e_value", "verdict"}
    assert data["verdict"].keys() == {"verdict", "reasons", "by_category", "by_creative"}
    assert data["as_of"].endswith("Z")


def test_every_lift_is_the_clustered_contrast_of_its_slice(show, make, draw, run):
    """Overall and per category, the numbers equal the formula over units built in plain Python."""
    rows = draw()
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    slices = {None: lambda row: True}
    for top in ("beauty", "home", "food"):
        slices[top] = lambda row, top=top: row["category"].startswith(top)
    for level, chosen in slices.items():
        control = slow_sums(rows, "baseline", chosen=chosen)
        treatment = slow_sums(rows, "generated", chosen=chosen)
        expected = contrast(control, treatment, share=True)
        lift = lift_of(scorecard, breakdown="category" if level else None, level=level)
        assert (lift.units_control, lift.n_control, lift.k_control) == (
            control.units,
            control.n,
            control.k,
        )
        assert lift.p_value == pytest.approx(expected.p_value, rel=1e-12)
        assert lift.ci_low == pytest.approx(expected.relative.low, rel=1e-12)
        assert lift.ci_high == pytest.approx(expected.relative.high, rel=1e-12)
        assert lift.design_effect == pytest.approx(expected.design_effect, rel=1e-12)
        assert lift.category == level


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("bots", {"bot": True}),
        ("mixed_units", {"mixed": True}),
        ("forced", {"reason": "forced"}),
        ("fallback", {"reason": "fallback"}),
        ("holdout", {"reason": "holdout"}),
        ("outside_phase", {"outside_phase": True}),
    ],
)
def test_what_does_not_count_is_left_out_and_counted(show, draw, run, code, change):
    """Bots, mixed, forced, fallback, holdout and outside rows change nothing but a warning."""
    rows = draw(users=300)
    extra = [{"variant": "generated", "unit_id": "x", "clicked": 1, **change} for _ in range(50)]
    with show(rows) as warehouse:
        clean = analyze(warehouse, EXPERIMENT, run=run)
    with show(rows + extra) as warehouse:
        dirty = analyze(warehouse, EXPERIMENT, run=run)
    plain = [lift for lift in dirty.lifts if lift.breakdown != "bots"]
    assert plain == list(clean.lifts)
    assert code in codes(dirty)
    assert code not in codes(clean)


def test_bots_are_shown_both_ways(show, make, draw, run):
    """With bots in the log, the scorecard shows the lift with and without them."""
    bots = [{"variant": "generated", "unit_id": "x", "clicked": 1, "bot": True}] * 500
    with show(draw(users=300) + bots) as warehouse:
        excluded = analyze(warehouse, make(), run=run)
        included = analyze(warehouse, make(events=EventWindows(bots="include")), run=run)
    for scorecard, kept in ((excluded, "excluded"), (included, "included")):
        overall = lift_of(scorecard)
        shown = lift_of(scorecard, breakdown="bots", level=kept)
        assert overall.k_treatment == shown.k_treatment
        with_bots = lift_of(scorecard, breakdown="bots", level="included")
        without = lift_of(scorecard, breakdown="bots", level="excluded")
        assert with_bots.k_treatment == without.k_treatment + 500


def test_held_units_stay_with_zero_impressions(show, make, draw, run):
    """A held decision adds a unit to U and nothing to clicks or impressions."""
    rows = draw(users=300)
    held = [
        {"variant": "generated", "unit_id": f"held{i}", "impressions": 0, "shown": 0}
        for i in range(20)
    ]
    with show(rows) as warehouse:
        before = lift_of(analyze(warehouse, make(), run=run))
    with show(rows + held) as warehouse:
        after = lift_of(analyze(warehouse, make(), run=run))
    assert after.units_treatment == before.units_treatment + 20
    assert (after.n_treatment, after.k_treatment) == (before.n_treatment, before.k_treatment)


def test_deeper_levels_cut_the_category_path(show, make, draw, run):
    """Level 1 is the top of the path, level 2 the path below; other cuts use their column."""
    cuts = (Breakdown(level=2), Breakdown(by="country"), Breakdown(by="segment"))
    with show(draw(users=300)) as warehouse:
        scorecard = analyze(warehouse, make(breakdowns=cuts), run=run)
    found = {(lift.breakdown, lift.level) for lift in scorecard.lifts if lift.breakdown}
    assert found == {
        ("category", "beauty/lip"),
        ("category", "home/lamp"),
        ("category", "food/tea"),
        ("country", "CN"),
        ("segment", "unknown"),
    }
    assert all(lift.category is None for lift in scorecard.lifts if lift.breakdown == "country")


def test_each_impression_stands_alone_for_requests(show, make, draw, run):
    """With unit request_id, several impressions of one request are several units."""
    rows = draw(users=300)
    with show(rows) as warehouse:
        lift = lift_of(analyze(warehouse, make(unit="request_id"), run=run))
    assert lift.units_control == lift.n_control
    expected = contrast(
        RatioSums.independent(lift.n_control, lift.k_control),
        RatioSums.independent(lift.n_treatment, lift.k_treatment),
        share=True,
    )
    assert lift.p_value == pytest.approx(expected.p_value, rel=1e-12)


def test_final_leaves_provisional_rows_out(show, make, draw, start):
    """Rows whose clicks may still come are shown, unless only final ones are asked for."""
    rows = draw(users=400)
    watermark = start + timedelta(days=8)
    settled = [row for row in rows if row["ts"] + timedelta(hours=96) <= watermark]
    run = Run(now=watermark, started_at=start)
    with show(rows, watermark=watermark) as warehouse:
        everything = analyze(warehouse, make(), run=run)
        final = analyze(warehouse, make(), run=run, question=Question(final=True))
    assert everything.status == "provisional"
    assert lift_of(everything).n_control == slow_sums(rows, "baseline").n
    assert lift_of(final).n_control == slow_sums(settled, "baseline").n
    assert 0 < lift_of(final).n_control < lift_of(everything).n_control


def test_conversions_are_final_later_than_clicks(show, make, draw, start):
    """A guardrail on conversions waits for the conversion window as well."""
    watermark = start + timedelta(days=12)
    run = Run(now=watermark, started_at=start)
    question = Question(final=True)
    with show(draw(users=400), watermark=watermark) as warehouse:
        scorecard = analyze(
            warehouse, make(guardrails=(Guardrail("ctcvr"),)), run=run, question=question
        )
    assert scorecard.status == "provisional"
    assert lift_of(scorecard).n_control > lift_of(scorecard, metric="ctcvr").n_control > 0


def test_later_rows_update_the_estimate_and_never_the_decision(show, make, draw, run, start):
    """After the decision look, more data change what is shown but not what is significant."""
    rows = draw(lift=0.0, seed=4)
    later = [
        {**row, "ts": row["ts"] + timedelta(days=10), "clicked": int(row["variant"] != "baseline")}
        for row in rows
    ]
    with show(rows) as warehouse:
        before = analyze(warehouse, make(), run=run)
    with show(rows + later) as warehouse:
        after = analyze(warehouse, make(), run=run)
    assert lift_of(after).p_value < 1e-9 < lift_of(before).p_value
    assert lift_of(after).p_adjusted == lift_of(before).p_adjusted
    assert not lift_of(after).significant
    assert after.decision.verdict == before.decision.verdict
    assert "after_the_decision" in codes(after)


def test_categories_are_one_family_and_the_overall_result_another(show, make, draw, run):
    """Category p-values are adjusted among themselves; a single overall one stays as it is."""
    with show(draw()) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    family = [lift for lift in scorecard.lifts if lift.breakdown == "category"]
    ranked = sorted(family, key=lambda lift: lift.p_value)
    worst = 1.0
    for rank in range(len(ranked), 0, -1):
        worst = min(worst, len(ranked) * ranked[rank - 1].p_value / rank)
        assert ranked[rank - 1].p_adjusted == pytest.approx(worst, rel=1e-12)
        assert ranked[rank - 1].significant == (worst <= 0.05)
    assert lift_of(scorecard).p_adjusted == lift_of(scorecard).p_value


def test_split_counts_every_unit_at_its_first_assigned_exposure(show, make, run, start):
    """Bots and mixed units count once where they came first; forced and fallback ones do not."""
    hour = timedelta(hours=1)
    rows = [{"variant": "baseline", "unit_id": f"a{i}"} for i in range(10)]
    rows += [{"variant": "generated", "unit_id": f"b{i}", "bot": i < 3} for i in range(9)]
    rows += [
        {"variant": "generated", "unit_id": "m", "ts": start + hour, "mixed": True},
        {"variant": "baseline", "unit_id": "m", "ts": start + 2 * hour, "mixed": True},
        {"variant": "generated", "unit_id": "f", "reason": "forced"},
        {"variant": "generated", "unit_id": "g", "reason": "fallback"},
    ]
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    assert scorecard.srm.observed == {"baseline": 10, "generated": 10}
    assert scorecard.srm.expected == {"baseline": 10.0, "generated": 10.0}
    assert scorecard.srm.verdict == "ok"


def test_split_uses_the_weights_of_the_moment(show, make, run, start):
    """Units first seen after a change of weights are expected by the new weights."""
    changed = start + timedelta(days=2)
    rows = [{"variant": "baseline", "unit_id": f"a{i}"} for i in range(500)]
    rows += [{"variant": "generated", "unit_id": f"b{i}"} for i in range(500)]
    late = {"ts": changed + timedelta(hours=1)}
    rows += [{"variant": "baseline", "unit_id": f"c{i}", **late} for i in range(100)]
    rows += [{"variant": "generated", "unit_id": f"d{i}", **late} for i in range(900)]

    def phase(number, starts_at, weights):
        return Phase(
            number=number,
            starts_at=starts_at,
            ends_at=None,
            slots=(),
            exposure=None,
            variants={},
            weights=weights,
        )

    phases = (
        phase(1, start, {"baseline": 50.0, "generated": 50.0}),
        phase(2, changed, {"baseline": 10.0, "generated": 90.0}),
    )
    with show(rows) as warehouse:
        naive = analyze(warehouse, make(), run=run)
        right = analyze(warehouse, make(), run=Run(now=run.now, started_at=start, phases=phases))
    assert naive.srm.verdict == "alarm"
    assert right.srm.verdict == "ok"
    assert right.srm.expected == pytest.approx({"baseline": 600, "generated": 1400})


def test_while_no_row_is_final_the_verdict_says_so(show, make, draw, run, start):
    """Rows that may still change are shown, and are not called missing."""
    external = make(assignment="external", guardrails=(Guardrail("cvr"),))
    with show(draw(users=200), watermark=start) as warehouse:
        scorecard = analyze(warehouse, external, run=run)
    assert lift_of(scorecard).relative_lift is not None
    primary, guardrail, *_ = scorecard.decision.reasons
    assert primary == "ctr of generated cannot be judged (no row is final yet)"
    assert guardrail == "guardrail cvr cannot be judged (no row is final yet)"


def test_no_traffic_is_no_result(show, make, run):
    """Without rows everything is undetermined with its reason, and the verdict is continue."""
    with show([{"variant": "baseline", "unit_id": "u", "experiment": "other"}]) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    lift = lift_of(scorecard)
    assert (lift.undetermined, lift.p_value, lift.relative_lift) == (
        "no_traffic: control has no units",
        None,
        None,
    )
    assert scorecard.srm.p_value is None
    assert scorecard.srm.verdict == "unavailable"
    assert scorecard.units == 0
    assert "no_traffic" in codes(scorecard)
    assert scorecard.decision.verdict == "continue"
    assert any("ingest" in reason for reason in scorecard.decision.reasons)


@pytest.mark.parametrize(("users", "verdict"), [(6, "continue"), (200, "invalid")])
def test_a_variant_without_traffic_is_named(show, make, run, users, verdict):
    """A silent variant gives a reason; once chance cannot explain it, the experiment is invalid."""
    rows = [{"variant": "baseline", "unit_id": f"u{i}", "clicked": i % 2} for i in range(users)]
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    assert lift_of(scorecard).undetermined == "no_traffic: treatment has no units"
    assert lift_of(scorecard).rate_control == 0.5
    assert lift_of(scorecard).p_value is None
    assert "variant_without_traffic" in codes(scorecard)
    assert scorecard.decision.verdict == verdict


def test_a_tiny_category_is_undetermined_beside_large_ones(show, make, draw, run):
    """A category with one unit has its reason and stays out of the others' correction."""
    rows = draw()
    alone = {"variant": "generated", "unit_id": "u1", "category": "garden/pot", "clicked": 1}
    with show(rows) as warehouse:
        without = analyze(warehouse, make(), run=run)
    with show([*rows, alone]) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    garden = lift_of(scorecard, breakdown="category", level="garden")
    assert garden.undetermined.startswith("no_traffic")
    assert garden.p_adjusted is None
    for level in ("home", "food"):
        assert (
            lift_of(scorecard, breakdown="category", level=level).p_adjusted
            == lift_of(without, breakdown="category", level=level).p_adjusted
        )


def test_money_is_summed_without_overflow(show, make, run):
    """Billions of micros a unit, squared and summed over units, stay exact."""
    rows = [
        {
            "variant": ("baseline", "generated")[i % 2],
            "unit_id": f"u{i}",
            "clicked": 1,
            "net_value_micros": 10**12 + i * 10**6 + (i % 2) * 10**11,
        }
        for i in range(400)
    ]
    with show(rows) as warehouse:
        lift = lift_of(
            analyze(warehouse, make(primary=PrimaryMetric("rpm")), run=run), metric="rpm"
        )
    assert lift.k_control == sum(10**12 + i * 10**6 for i in range(0, 400, 2))
    assert lift.rate_control == pytest.approx(lift.k_control / 200 / 1000, rel=1e-12)
    assert lift.relative_lift == pytest.approx(0.1, rel=1e-2)
    assert lift.se_absolute > 0
    assert lift.design_effect is None


def picture(creative_id, *, match):
    return Lineage(
        creative_id=creative_id,
        product_id="p1",
        source="generated",
        image_sha256="0" * 64,
        cutout_sha256="0" * 64,
        placement=Placement(0, 0, 1, 1),
        scene={},
        prompt="on marble",
        seed=1,
        renderer="studio/1",
        checkpoints={},
        inspector={"match": match},
    )


def test_match_rate_comes_from_the_lineage(show, make, draw, run):
    """Impressions of creatives whose lineage says they match, over impressions, by unit."""
    rows = draw(users=300)
    lineage = {
        row["creative_id"]: picture(row["creative_id"], match=row["creative_id"].endswith("-1"))
        for row in rows
    }
    experiment = make(guardrails=(Guardrail("match_rate", min=0.3),))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run, lineage=lineage)
        unknown = analyze(warehouse, experiment, run=run)
    lift = lift_of(scorecard, metric="match_rate")
    matched = sum(r["creative_id"].endswith("-1") for r in rows if r["variant"] == "generated")
    assert lift.k_treatment == matched
    assert all(guard.holds for guard in scorecard.facts[0].guardrails)
    assert lift_of(unknown, metric="match_rate").undetermined.startswith("no_lineage")
    assert not any(guard.holds for guard in unknown.facts[0].guardrails)


def test_two_treatments_share_one_error_rate(show, make, draw, run):
    """With two treatments the overall p-values are Dunnett's, never above Holm's largest."""
    rows = draw(users=900)
    for row in rows:
        if row["variant"] == "generated" and (int(row["unit_id"][1:]) % 2):
            row["variant"] = "other"
    variants = (
        Variant("baseline", 50, control=True),
        Variant("generated", 25),
        Variant("other", 25),
    )
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(variants=variants), run=run)
    overall = [lift for lift in scorecard.lifts if lift.breakdown is None]
    low, high = sorted(overall, key=lambda lift: lift.p_value)
    for lift in (low, high):
        assert lift.p_value < lift.p_adjusted < min(1, 2 * lift.p_value)
    assert math.isclose(sum(scorecard.srm.expected.values()), scorecard.units)


def test_two_depths_of_the_path_are_two_families(show, make, draw, run):
    """Each depth has its own correction, also where both know a category by the same name."""
    rows = draw(users=600)
    for row in rows:
        row["category"] = row["category"].removesuffix("/lamp")
    raw, corrected = Breakdown(level=1, correction="none"), Breakdown(level=2)
    with show(rows) as warehouse:
        both = analyze(warehouse, make(breakdowns=(raw, corrected)), run=run)
        alone = [analyze(warehouse, make(breakdowns=(cut,)), run=run) for cut in (raw, corrected)]
    expected = [lift for one in alone for lift in one.lifts if lift.breakdown]
    assert [lift for lift in both.lifts if lift.breakdown] == expected
    assert [lift.level for lift in expected].count("home") == 2
    reasons = [row for one in alone for row in one.decision.by_category]
    assert list(both.decision.by_category) == reasons


def test_the_split_does_not_depend_on_the_order_of_the_log(show, frame_of, make, run):
    """Units that are seen in both variants at one moment fall to the same side in any order."""
    rows = [
        {"variant": variant, "unit_id": f"u{user}", "mixed": True}
        for user in range(200)
        for variant in (("baseline", "generated") if user % 5 else ("generated", "baseline"))
    ]
    frame = frame_of(rows)
    found = []
    for log in (frame, frame.reverse()):
        with show(log) as warehouse:
            found.append(analyze(warehouse, make(), run=run).srm.observed)
    assert found == [{"baseline": 160, "generated": 40}] * 2
