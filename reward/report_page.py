"""The weekly retraining as one page: what was decided and why, against what, and how sure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abplatform.checkpoints.report_cards import ReportCard
from abplatform.figures import Line, embed_picture, facts, line_plot, notes, page, table
from reward.attribution import Explained

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
    explained: Sequence[Explained] = (),
) -> str:
    """Return the page as HTML in one file.

    Args:
        week: The held-out ISO week.
        promoted: Whether the challenger became the champion.
        reasons: Why, or why not.
        metrics: Of a judgement; empty if there was nothing to judge on.
        training: What the challenger's training told of itself.
        cards: Report cards of the models that were judged.
        explained: Pairs of the week with what moved the challenger.
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
    parts += [*_cards(cards), _explained(explained), _training(training)]
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


def _explained(pairs: Sequence[Explained]) -> str:
    if not pairs:
        return ""
    shown = "".join(
        f'<div class="card"><p>The log prefers the first with {pair.p_win:.1%}, the model gives it '
        f"{pair.p_chosen:.1%}.</p>"
        '<div style="display:flex;gap:2rem;flex-wrap:wrap">'
        f"{_side(pair, 0)}{_side(pair, 1)}</div></div>"
        for pair in pairs
    )
    return (
        "<h2>What moved it</h2>"
        '<p class="quiet">The clearest pairs of the week, rightly judged ones first. Green raises '
        "the score, red lowers it: regions of the picture against a plain one (integrated "
        "gradients), words by leaving them out.</p>" + shown
    )


def _side(pair: Explained, number: int) -> str:
    found, item = pair.attributions[number], pair.items[number]
    parts = [f'<p class="quiet">{escape(item.title or item.product_id)}: {found.score:+.2f}</p>']
    if pair.pictures is not None and found.regions is not None:
        parts.insert(0, _heated(pair.pictures[number], found.regions))
    if found.words:
        most = max(1e-9, *(abs(value) for _, value in found.words))
        words = (
            f'<span style="background:{_tone(value / most)}">{escape(word)}</span>'
            for word, value in found.words
        )
        parts.append(f"<p>{' '.join(words)}</p>")
    return f'<div style="max-width:22rem">{"".join(parts)}</div>'


def _heated(picture: NDArray[np.uint8], regions: NDArray[np.float64]) -> str:
    """Draw a picture with what each region adds to the score laid over it."""
    rows, columns = regions.shape
    most = max(float(np.abs(regions).max()), 1e-9)
    cells = "".join(
        f'<rect x="{column}" y="{row}" width="1" height="1" '
        f'fill="{_tone(float(regions[row, column]) / most)}"/>'
        for row in range(rows)
        for column in range(columns)
    )
    return (
        f'<svg viewBox="0 0 {columns} {rows}" width="176" role="img" '
        'aria-label="what each region of the picture adds to its score">'
        f'<image href="{embed_picture(picture)}" width="{columns}" height="{rows}"/>{cells}</svg>'
    )


def _tone(share: float) -> str:
    """Return green for what raises a score and red for what lowers it, stronger for more."""
    red, green, blue = (0, 150, 80) if share > 0 else (210, 40, 40)
    return f"rgba({red},{green},{blue},{0.6 * abs(share):.2f})"


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
