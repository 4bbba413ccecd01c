"""``demo/report.html``: the two weeks as one page that opens anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from abplatform.checkpoints.report_cards import Grade, ReportCard
from abplatform.cli.demo_facts import (
    CategoryRow,
    Contest,
    DemoWeek,
    category_rows,
    value_of_choice,
)
from abplatform.cli.demo_story import Fault, because
from abplatform.cli.demo_world import CREATIVES, demo_keys
from abplatform.durable import replace_durably
from abplatform.figures import facts, page, percent
from abplatform.workspace import Workspace

__all__ = ["write_page"]

_NONE = "\N{EM DASH}"


def write_page(
    path: Path,
    workspace: Workspace,
    weeks: Sequence[DemoWeek],
    *,
    contest: Contest,
    faults: Sequence[Fault],
    cards: Sequence[ReportCard],
) -> None:
    """Write the page.

    Args:
        path: Where.
        workspace: The demo's.
        weeks: In order.
        contest: Daily peeking against the platform.
        faults: What was planted.
        cards: The champion's.
    """
    body = "\n".join(
        [
            _opening(weeks, contest),
            *(_truth_table(week) for week in weeks),
            _fault_table(faults),
            _reward(weeks),
            _report_card(cards),
            *_scorecards(workspace, weeks),
        ]
    )
    replace_durably(path, page("Two weeks of generated creatives", body).encode())


def _opening(weeks: Sequence[DemoWeek], contest: Contest) -> str:
    peeking, platform = contest.peeking, contest.platform
    received = weeks[-1].results["ingest"]["totals"]["received"]
    choice = value_of_choice(weeks[-1])
    told = [
        (f"{received:,}", "events taken in, each counted once"),
        (f"{peeking.comparisons}", f"category comparisons, {peeking.null} truly without gain"),
        (f"{peeking.shipped}", f"a z-test peeked at daily would ship, {peeking.wrong} wrongly"),
        (f"{platform.shipped}", f"this platform ships, {platform.wrong} wrongly"),
    ]
    if choice is not None:
        said = f"true lift, had the model chosen one picture in {choice.pictures}; all: "
        told.append((percent(choice.chosen), said + percent(choice.all)))
    names = " and ".join(week.week for week in weeks)
    return (
        f'<section class="hero"><span class="badge">demo</span> '
        f'<span class="quiet">simulated weeks {escape(names)}</span>'
        "<h1>Do generated scenes beat plain studio pictures?</h1>"
        '<p class="quiet">In some categories. Shoppers of this market have a hidden taste that '
        "reads pixels only; the market knows every true lift, the platform does not.</p>"
        f"</section>{facts(told)}"
    )


def _truth_table(week: DemoWeek) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("category", "control", "generated", "lift", "95 % interval", "true lift")
    )
    rows = "".join(_truth_row(row) for row in category_rows(week.creatives, week.truth))
    return (
        f"<h2>{escape(week.week)}: what was measured, and what was true</h2>"
        f'<div class="card"><table><tr>{head}<th>verdict</th></tr>{rows}</table></div>'
    )


def _truth_row(row: CategoryRow) -> str:
    lift = row.lift
    tone = {"ship": "better", "reject": "worse"}.get(row.verdict, "continue")
    low, high = _percent(lift["ci_low"]), _percent(lift["ci_high"])
    cells = [
        f"<b>{escape(row.category or 'all categories')}</b>",
        _rate(lift["rate_control"]),
        _rate(lift["rate_treatment"]),
        _percent(lift["relative_lift"]),
        f"{low} … {high}",
        percent(row.true_lift),
        f'<span class="badge {tone}">{escape(row.verdict.replace("_", " "))}</span>',
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _fault_table(faults: Sequence[Fault]) -> str:
    rows = "".join(
        f"<tr><td>{escape(fault.what)}</td><td>{escape(fault.planted)}</td>"
        f"<td>{escape(fault.caught)}</td><td>{escape(fault.found)}</td>"
        f"<td>{_mark(ok=fault.ok)}</td></tr>"
        for fault in faults
    )
    return (
        "<h2>Faults that were planted, and where each was caught</h2>"
        '<div class="card"><table><tr><th>fault</th><th>planted</th><th>caught by</th>'
        f"<th>found</th><th></th></tr>{rows}</table></div>"
    )


def _mark(*, ok: bool) -> str:
    return f'<span class="badge {"ok" if ok else "alarm"}">{"caught" if ok else "missed"}</span>'


def _reward(weeks: Sequence[DemoWeek]) -> str:
    rows = "".join(_reward_row(week.week, week.results) for week in weeks)
    head = "".join(
        f"<th>{name}</th>"
        for name in ("judged on", "pairs", "reward model", "noise ceiling", "shuffled", "scenes")
    )
    notes = "".join(
        f"<dt>{escape(week.week)}</dt><dd>{_outcome(week.results['gate'])}</dd>" for week in weeks
    )
    return (
        "<h2>What the reward model learned</h2>"
        '<p class="quiet">It learns from earlier weeks and is judged on the newest one. Shares of '
        "pairs in which it names the likelier winner; labels are noisy, so even a perfect model "
        "would only reach the ceiling. Beside it: a twin that learned from shuffled labels, and a "
        "model that is told the scene's parameters instead of seeing the picture.</p>"
        f'<div class="card"><table><tr>{head}</tr>{rows}</table></div>'
        f'<div class="card"><dl class="notes">{notes}</dl></div>'
    )


def _reward_row(week: str, results: Mapping[str, Any]) -> str:
    metrics = results["gate"]["metrics"]
    ours = metrics.get("challenger", {})
    cells = [
        escape(week),
        f"{results['pairs']['pairs']:,}",
        _rate(ours.get("accuracy")),
        _rate(ours.get("noise_ceiling")),
        _rate(metrics.get("shuffled", {}).get("accuracy")),
        _rate(metrics.get("baselines", {}).get("scene_parameters", {}).get("accuracy")),
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _outcome(gate: Mapping[str, Any]) -> str:
    word = "Promoted" if gate["promote"] else "Not promoted"
    return f"{word}: {escape(because(gate))}."


def _report_card(cards: Sequence[ReportCard]) -> str:
    names = ("week", "category", "pairs", "predicted wins", "between", "realised wins", "")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(_grade_row(card, grade) for card in cards for grade in card.grades)
    if not rows:
        return ""
    return (
        "<h2>The champion's report card</h2>"
        '<p class="quiet">How often it promised to name the winner of pairs that came after it, '
        "and how often it did. Below the interval two weeks in a row, or in a category with many "
        "pairs, no new model is promoted until a person has decided.</p>"
        f'<div class="card"><table><tr>{head}</tr>{rows}</table></div>'
    )


def _grade_row(card: ReportCard, grade: Grade) -> str:
    name = grade.category
    cells = [
        escape(card.week),
        escape(name) if name else "<b>all categories</b>",
        f"{grade.pairs:,}",
        _rate(grade.predicted),
        f"{_rate(grade.low)} … {_rate(grade.high)}",
        _rate(grade.realised),
        '<span class="badge alarm">below</span>'
        if grade.is_below
        else '<span class="badge ok">as promised</span>',
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _scorecards(workspace: Workspace, weeks: Sequence[DemoWeek]) -> list[str]:
    """The newest scorecard in full, with the pictures that won and lost."""
    from abplatform.analysis.publish import open_shelf
    from abplatform.analysis.report import choose_duels, scorecard_section
    from abplatform.loop.measure import judge_experiment, open_store
    from abplatform.traffic.registry import Registry

    shelf = open_shelf(workspace)
    sections = []
    with open_store(workspace, "demo report") as warehouse:
        for week in reversed(weeks):
            registered = Registry(workspace).find(demo_keys(week.week)[CREATIVES])
            scorecard = judge_experiment(workspace, warehouse, registered, lineage=shelf.lineage)
            duels = choose_duels(
                scorecard,
                masters=workspace.creatives,
                lineage=shelf.lineage,
                products=shelf.products,
                control=registered.experiment.control.name,
                count=6,
            )
            sections.append(scorecard_section(scorecard, registered.experiment, duels=duels))
    return sections


def _rate(rate: float | None) -> str:
    return _NONE if rate is None else f"{rate:.2%}"


def _percent(value: float | None) -> str:
    return _NONE if value is None else percent(value)
