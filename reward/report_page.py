"""The weekly retraining as one page: what was decided and why, against what, and how sure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from abplatform.checkpoints.report_cards import ReportCard
from abplatform.figures import Line, facts, line_plot, notes, page, table

__all__ = ["retrain_page"]

_NONE = "\N{EM DASH}"


def retrain_page(
    *,
    week: str,
    promoted: bool,
    reasons: Sequence[str],
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    cards: Sequence[ReportCard] = (),
) -> str:
    """Return the page as HTML in one file.

    Args:
        week: The held-out ISO week.
        promoted: Whether the challenger became the champion.
        reasons: Why, or why not.
        metrics: Of a judgement; empty if there was nothing to judge on.
        training: What the challenger's training told of itself.
        cards: Report cards of the models that were judged.
    """
    word = "promoted" if promoted else "not promoted"
    tone = "better" if promoted else "continue"
    opening = (
        f'<section class="hero"><span class="badge {tone}">{word}</span> '
        f'<span class="quiet">reward model, judged on {escape(week)}</span>'
        f"<h1>Was the new reward model {'good' if promoted else 'not good'} enough?</h1>"
        "</section>"
    )
    parts = [opening]
    if metrics:
        parts += [
            _numbers(metrics),
            _gates(metrics["gates"]),
            _contest(metrics),
            _reliability(metrics["challenger"]["reliability"]),
            _categories(metrics),
        ]
    else:
        parts.append(notes(("why", reason) for reason in reasons))
    parts += [*_cards(cards), _training(training)]
    return page(f"Reward model, {week}", "\n".join(part for part in parts if part))


def _numbers(metrics: Mapping[str, Any]) -> str:
    ours = metrics["challenger"]
    return facts(
        [
            (f"{ours['pairs']:,}", f"pairs of {ours['components']:,} products, none seen before"),
            (_rate(ours["accuracy"]), f"right; {_rate(ours['noise_ceiling'])} is the ceiling"),
            (_rate(ours["accuracy_significant"]), f"of {ours['pairs_significant']:,} clear pairs"),
            (_rate(ours["ece_adjusted"]), "calibration error"),
        ]
    )


def _gates(gates: Iterable[Mapping[str, Any]]) -> str:
    told = [
        (gate["gate"].replace("_", " "), f"{_outcome(gate)}: {gate['detail']}") for gate in gates
    ]
    return "<h2>Gates</h2>" + notes(told)


def _outcome(gate: Mapping[str, Any]) -> str:
    return "passed" if gate["passed"] else "failed"


def _contest(metrics: Mapping[str, Any]) -> str:
    models = {"challenger": metrics["challenger"]}
    if metrics["champion"]:
        models["champion"] = metrics["champion"]
    models["challenger on shuffled labels"] = metrics["shuffled"]
    models |= {name.replace("_", " "): row for name, row in metrics["baselines"].items()}
    rows = [
        [
            name,
            _rate(row["accuracy"]),
            _rate(row.get("accuracy_significant")),
            _number(row.get("log_loss_adjusted")),
            _rate(row.get("ece_adjusted")),
        ]
        for name, row in models.items()
    ]
    heads = ["model", "all pairs", "clear pairs", "log-loss", "calibration error"]
    return "<h2>Against whom</h2>" + table(heads, rows, strong=0)


def _reliability(bins: Sequence[Mapping[str, Any]]) -> str:
    """What was promised against what was seen; on the diagonal both agree."""
    points = sorted((float(row["expected"]), float(row["seen"])) for row in bins)
    promised = [x for x, _ in points]
    every = [value for point in points for value in point]
    plot = line_plot(
        [
            Line("as promised", promised, promised, style="dashed", colour=2),
            Line("challenger", promised, [y for _, y in points]),
        ],
        title="How often the model's side won, by how often it promised that",
        x_axis="promised, labels being unsure",
        y_axis="seen",
        limits=(min(every) - 0.02, max(every) + 0.02),
        write_x="{:.0%}".format,
        write_y="{:.0%}".format,
    )
    heads = ["said", "promised in the log", "seen", "pairs"]
    rows = [
        [_rate(row["said"]), _rate(row["expected"]), _rate(row["seen"]), f"{row['pairs']:,}"]
        for row in bins
    ]
    figure = f'<div class="card">{plot}</div>' if len(bins) > 1 else ""
    return "<h2>Is it as sure as it may be?</h2>" + figure + table(heads, rows)


def _categories(metrics: Mapping[str, Any]) -> str:
    theirs = (metrics["champion"] or {}).get("by_category", {})
    rows = [
        [
            name,
            f"{row['pairs']:,}",
            _rate(row["accuracy"]),
            _rate(theirs.get(name, {}).get("accuracy")),
            _rate(row["noise_ceiling"]),
        ]
        for name, row in metrics["challenger"]["by_category"].items()
    ]
    heads = ["category", "pairs", "challenger", "champion", "ceiling"]
    return "<h2>By category</h2>" + table(heads, rows)


def _cards(cards: Sequence[ReportCard]) -> list[str]:
    return [
        f"<h2>Report card of {card.checkpoint[:12]} for {escape(card.week)}</h2>"
        + table(
            ["category", "pairs", "predicted wins", "between", "realised wins", ""],
            [
                [
                    grade.category or "all categories",
                    f"{grade.pairs:,}",
                    _rate(grade.predicted),
                    f"{_rate(grade.low)} to {_rate(grade.high)}",
                    _rate(grade.realised),
                    "below" if grade.is_below else "as promised",
                ]
                for grade in card.grades
            ],
            strong=0,
        )
        for card in cards
    ]


def _training(training: Mapping[str, Any]) -> str:
    losses = [row for row in training.get("validation_losses", []) if row]
    parts = ["<h2>How it was trained</h2>"]
    if losses and max(map(len, losses)) > 1:
        lines = [
            Line(
                f"net {number + 1}",
                [float(epoch + 1) for epoch in range(len(row))],
                [float(loss) for loss in row],
                colour=number + 1,
            )
            for number, row in enumerate(losses)
        ]
        every = [float(loss) for row in losses for loss in row]
        plot = line_plot(
            lines,
            title="Loss on held-out pairs by epoch",
            x_axis="epoch",
            y_axis="loss",
            limits=(min(every) - 0.02, max(every) + 0.02),
            write_x="{:.0f}".format,
            write_y="{:.2f}".format,
            least_step=1,
        )
        parts.append(f'<div class="card">{plot}</div>')
    told = [
        ("pairs", f"{training['pairs']:,} of {training['items']:,} creatives"),
        ("both ways", f"{training['contradictions']:,} pairs are preferred both ways round"),
        ("temperature", f"{training['temperature']:.3f}"),
        ("best epochs", ", ".join(map(str, training["best_epochs"]))),
        ("texts", training["text_encoder"].get("name", "hashed words")),
        ("loss", training["training"]["loss"]),
    ]
    return "".join([*parts, notes(told)])


def _rate(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
