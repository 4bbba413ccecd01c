"""Reports: one sentence on top, every number below, and a reason where there is none."""

import io
import re
from dataclasses import replace
from datetime import timedelta
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from abplatform.analysis.report import (
    choose_duels,
    describe_srm,
    headline,
    print_scorecard,
    to_html,
    to_markdown,
)
from abplatform.analysis.report.wording import lines
from abplatform.analysis.scorecard import Run, Warned
from abplatform.analysis.verdict import analyze
from abplatform.creatives import save_master
from abplatform.domain.catalog import Category, Lineage, Placement, Product
from abplatform.domain.experiment import (
    Analysis,
    Guardrail,
    PrimaryMetric,
    Variant,
    VerdictRules,
)


@pytest.fixture
def judged(show, make, draw, run):
    """A shipped scorecard with a category that is too small."""
    rows = draw(users=500, lift=1.2)
    rows += [{"variant": "baseline", "unit_id": "u1", "category": "garden/pot"}]
    experiment = make(
        hypothesis="Warm <b>light</b> | helps",
        guardrails=(Guardrail("cvr", non_inferiority_margin=0.9),),
    )
    with show(rows) as warehouse:
        return analyze(warehouse, experiment, run=run), experiment


class Balance(HTMLParser):
    """Counts open tags; ``open`` is empty for a page whose tags all close."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        """Remember it."""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Take the last one off."""
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        """Nothing stays open."""


def text_of(scorecard, experiment, *, width=140):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_scorecard(scorecard, experiment, console=console)
    return console.file.getvalue()


def test_the_page_is_one_file_with_balanced_tags(judged):
    """The HTML closes every tag, loads nothing from outside and runs no script."""
    html = to_html(*judged)
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert "<script" not in html
    assert not re.search(r'(src|href)="(?!data:)', html)


def test_every_form_starts_with_the_same_sentence(judged):
    """Terminal, Markdown and HTML carry the verdict in one sentence."""
    sentence = headline(*judged)
    assert sentence.startswith("Ship generated: CTR rises by ")
    assert sentence in to_markdown(*judged)
    assert sentence in to_html(*judged)
    assert sentence[:50] in text_of(*judged)


def test_missing_numbers_say_why_everywhere(judged):
    """The category that is too small shows a reason in each form."""
    reason = "no_traffic: treatment has no units"
    assert reason in to_html(*judged)
    assert reason.replace("_", "\\_") in to_markdown(*judged)
    assert "no_traffic" in text_of(*judged)


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_no_number_is_cut_on_a_narrow_terminal(judged, width):
    """Whatever the width, lifts and intervals stand whole; other columns give way before."""
    told = text_of(*judged, width=width)
    assert max(map(len, told.splitlines())) <= width
    for line in lines(*judged):
        if line.lift.p_value is not None:
            assert f" {line.relative}  " in told
            assert line.interval in told


def test_text_from_outside_is_text(judged):
    """Markup in a hypothesis is shown, never obeyed."""
    assert "<b>light" not in to_html(*judged)
    assert "\\<b>light" in to_markdown(*judged)


def test_every_lift_is_in_the_tables(judged):
    """Each slice and guardrail has its row with its counts."""
    scorecard, experiment = judged
    html, markdown = to_html(scorecard, experiment), to_markdown(scorecard, experiment)
    for lift in scorecard.lifts:
        assert f"{lift.k_control:,} / {lift.k_treatment:,}" in html
        assert f"{lift.units_control + lift.units_treatment:,}" in markdown
    assert describe_srm(scorecard) in html


def test_half_a_unit_stays_half_a_unit(judged):
    """A plan of 1.5 units a variant is not told as 2 and 2."""
    scorecard, _ = judged
    few = replace(scorecard.srm, p_value=0.56, expected={"a": 1.5, "b": 1500.0})
    assert "planned a 1.5, b 1,500 (" in describe_srm(replace(scorecard, srm=few))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("loss", "Reject generated: CTR falls by "),
        ("equal", "No difference worth having: CTR of generated is within 80.0% of baseline"),
        ("open", "Undecided; generated: CTR "),
        ("early", "Keep running; generated: CTR rises by "),
        ("broken", "Do not use this experiment: its users did not arrive"),
        ("empty", "Nothing to say yet: no traffic has been counted."),
        ("few", "Nothing to say yet: control has 0 units with a click, 5 are needed."),
    ],
)
def test_each_verdict_has_its_sentence(show, make, draw, run, start, case, words):  # noqa: PLR0917 - fixtures
    """A product manager reads what to do, in plain words, for every verdict."""
    lifts = {"loss": -0.8, "early": 1.2, "broken": 1.0}
    rows = draw(users=500, lift=lifts.get(case, 0.0), seed=2)
    experiment = make(primary=PrimaryMetric("ctr", mde=0.8 if case == "equal" else None))
    if case == "broken":
        rows = [row for row in rows if row["variant"] == "baseline" or row["unit_id"][-1] in "123"]
    if case == "empty":
        rows = [{"variant": "baseline", "unit_id": "u", "experiment": "other"}]
    if case == "few":
        rows = [{**row, "clicked": 0} for row in rows]
    if case == "early":
        run = Run(now=run.now, started_at=start + timedelta(days=58))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    assert words in headline(scorecard, experiment)
    assert "None" not in text_of(scorecard, experiment)
    assert "nan" not in to_html(scorecard, experiment).lower().replace("nance", "")


def test_a_sentence_tells_the_look_that_decided(show, make, draw, run, start):
    """Rows after the decision move the rates, not the lift and interval that the sentence tells."""
    rows = draw(users=800, lift=2.0, seed=3)
    later = [{**row, "unit_id": f"late-{n}", "clicked": 1} for n, row in enumerate(rows[:200])]
    later = [{**row, "ts": start + timedelta(days=20)} for row in later]
    analysis = Analysis(min_runtime=timedelta(days=3), max_runtime=timedelta(days=14))
    experiment = make(analysis=analysis, primary=PrimaryMetric("ctr", mde=0.5))
    began = Run(now=run.now, started_at=start)
    with show(rows) as warehouse:
        then = analyze(warehouse, experiment, run=began)
    with show(rows + later) as warehouse:
        scorecard = analyze(warehouse, experiment, run=began)
    decided = next(look for look in scorecard.looks if look.decides)
    assert scorecard.lifts[0].relative_lift != decided.relative_lift
    told = headline(scorecard, experiment)
    assert f"rises by {decided.relative_lift:.1%} (likely between" in told
    assert told.endswith(f"decided on the data up to {decided.day}.")
    assert told.partition(", ")[0] == headline(then, experiment).partition(", ")[0]
    assert "after_the_decision" in {note.code for note in scorecard.warnings}


@pytest.mark.parametrize(
    ("when", "words"), [("draft", "Not started; "), ("stopped", "Stopped too early to decide; ")]
)
def test_what_does_not_run_is_not_told_to_keep_running(  # noqa: PLR0917 - fixtures
    show, make, draw, run, start, when, words
):
    """A draft and an experiment that was stopped early are called so."""
    ran = {
        "draft": Run(now=run.now),
        "stopped": Run(now=run.now, started_at=start, ended_at=start + timedelta(days=2)),
    }
    experiment = make()
    with show(draw(users=500, lift=0.5)) as warehouse:
        scorecard = analyze(warehouse, experiment, run=ran[when])
    assert headline(scorecard, experiment).startswith(words)


def test_a_win_that_a_guardrail_holds_up_is_called_a_win(show, make, draw, run):
    """Where only a guardrail stands in the way, the sentence names it."""
    experiment = make(guardrails=(Guardrail("cvr", non_inferiority_margin=0.01),))
    with show(draw(users=500, lift=1.5)) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    told = headline(scorecard, experiment)
    assert told.startswith("Undecided; generated: CTR rises by ")
    assert told.endswith(", a win, but cvr may be worse than tolerated.")


def test_reports_are_measured_on_impressions(judged):
    """Reports have no users, whichever way their variance was found."""
    scorecard, experiment = judged
    note = Warned("variance_from_day_rows", "no unit rows")
    told = headline(replace(scorecard, warnings=(note,)), experiment)
    assert told.endswith(" impressions.")
    assert "users" not in told


def test_nothing_is_said_twice_above_the_table(show, make, draw, run, start):
    """What the sentence says is no reason beside it."""
    experiment = make()
    with show(draw(users=500)) as warehouse:
        scorecard = analyze(warehouse, experiment, run=Run(now=run.now, started_at=run.now))
    said = scorecard.look.sentence
    assert said in headline(scorecard, experiment)
    assert said in scorecard.decision.reasons
    # Once in the sentence, once in the warning that says which fields are null.
    assert to_html(scorecard, experiment).count(escape(said)) == 2
    assert to_markdown(scorecard, experiment).count(said) == 2
    assert "before_the_decision_look" not in text_of(scorecard, experiment)


def test_winning_and_losing_pictures_stand_side_by_side(judged, tmp_path):
    """Duels show wins and losses, one a product, with pictures where there are masters."""
    scorecard, experiment = judged
    lineage = {}
    wanted = scorecard.creatives[0]
    pixels = np.full((64, 64, 3), 180, np.uint8)
    creative_id, cutout = save_master(tmp_path, pixels, np.zeros((4, 4, 4), np.uint8))
    renamed = tuple(
        replace(one, creative_id=creative_id) if one is wanted else one
        for one in scorecard.creatives
    )
    renamed = tuple(
        replace(one, p_win=0.999) if one.creative_id == creative_id else one for one in renamed
    )
    lineage[creative_id] = Lineage(
        creative_id=creative_id,
        product_id=wanted.product_id,
        source="generated",
        image_sha256="0" * 64,
        cutout_sha256=cutout,
        placement=Placement(0, 0, 1, 1),
        scene={},
        prompt='on "marble"',
        seed=1,
        renderer="studio/1",
        checkpoints={},
        inspector={},
    )
    products = {
        wanted.product_id: Product(wanted.product_id, "Lamp <1>", Category("home"), "a.png")
    }
    duels = choose_duels(
        replace(scorecard, creatives=renamed),
        masters=tmp_path,
        lineage=lineage,
        products=products,
        control="baseline",
    )
    assert duels[0].winner.picture.startswith("data:image/webp")
    assert duels[0].loser.picture is None
    assert all(duel.p_win >= 0.5 for duel in duels)
    assert len({duel.title for duel in duels}) == len(duels)
    html = to_html(scorecard, experiment, duels=duels)
    assert html.count("<img") == 1
    assert "Lamp &lt;1&gt;" in html
    assert "only the log knows this creative" in html


def three(rows, make, show, run, **changes):
    """Judge the rows of three variants."""
    variants = (
        Variant("baseline", 34, control=True),
        Variant("bold", 33),
        Variant("calm", 33),
    )
    with show(rows) as warehouse:
        experiment = make(variants=variants, **changes)
        return analyze(warehouse, experiment, run=run), experiment


def test_the_sentence_names_the_treatment_that_ships(show, make, run):
    """A stronger winner that harms a guardrail is not the one to ship."""
    rows = [
        {
            "variant": name,
            "unit_id": f"{name}{user}",
            "clicked": int(user % 100 < clicks),
            "conversions": int(user % 100 < bought),
        }
        for name, clicks, bought in (("baseline", 20, 10), ("bold", 60, 6), ("calm", 40, 20))
        for user in range(1000)
    ]
    guards = (Guardrail("cvr", non_inferiority_margin=0.3),)
    scorecard, experiment = three(rows, make, show, run, guardrails=guards)
    assert scorecard.decision.verdict == "ship"
    assert headline(scorecard, experiment).startswith("Ship calm: CTR rises by 100.0%")


def test_less_is_better_where_less_is_wanted(show, make, run):
    """With direction decrease the sentence is about the deepest proven fall."""
    rows = [
        {"variant": name, "unit_id": f"{name}{user}", "clicked": int(user % 100 < clicks)}
        for name, clicks in (("baseline", 60), ("bold", 20), ("calm", 40))
        for user in range(1000)
    ]
    primary = PrimaryMetric("ctr", direction="decrease")
    found = headline(*three(rows, make, show, run, primary=primary))
    assert found.startswith("Ship bold: CTR falls by 66.7%")


def test_an_own_rule_for_no_difference_is_quoted(show, make, draw, run):
    """Without a margin nothing is said to lie within it."""
    rules = VerdictRules(no_difference="not primary.wins and not primary.loses")
    experiment = make(primary=PrimaryMetric("ctr"), verdict=rules)
    with show(draw(lift=0.0, seed=2)) as warehouse:
        found = headline(analyze(warehouse, experiment, run=run), experiment)
    assert f"the rule ({rules.no_difference}) holds for generated: CTR " in found
    assert "within" not in found
