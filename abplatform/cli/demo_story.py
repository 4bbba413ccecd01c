"""The demo as it is told on the terminal, point by point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abplatform.checkpoints.report_cards import ReportCard, find_alarms
from abplatform.cli.demo_facts import CategoryRow, Choice, Contest
from abplatform.figures import percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Fault", "Story", "because"]

_STYLES = {"ship": "bold green", "reject": "bold red", "invalid": "bold magenta"}
_NONE = "\N{EM DASH}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was planted and what became of it.

    Args:
        what: What was planted.
        planted: How much of it.
        caught: Where it was caught.
        found: How much of it was found there.
        ok: Whether all of it was.
    """

    what: str
    planted: str
    caught: str
    found: str
    ok: bool


class Story:
    """Tells the demo.

    Args:
        console: Where.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str = "", *, number: int | None = None) -> None:
        """Print one paragraph, with its number when it opens a point."""
        from rich.padding import Padding

        head = f"[bold cyan]({number})[/] " if number else ""
        indent = (0, 0, 0, 0 if number else 4)
        self.console.print(Padding(head + text, indent, expand=False), highlight=False)

    def _show(self, table: Table) -> None:
        from rich.padding import Padding

        self.console.print(Padding(table, (0, 0, 0, 4), expand=False))

    def rule(self, text: str) -> None:
        """Begin a new part."""
        self.console.print()
        self.console.rule(f"[bold]{text}[/]", align="left", style="dim")

    def count(self, receipt: Mapping[str, int], *, before: Mapping[str, int]) -> None:
        """Say what a week's log came to."""
        kinds = ("received", "accepted", "quarantined", "duplicate", "superseded", "forgotten")
        week = {kind: receipt[kind] - before.get(kind, 0) for kind in kinds}
        parts = [f"{week[kind]:,} {kind}" for kind in kinds[1:4]]
        parts += [f"{week[kind]:,} {kind}" for kind in kinds[4:] if week[kind]]
        adds_up = week["received"] == sum(week[kind] for kind in kinds[1:])
        mark = "[green]\N{CHECK MARK}[/]" if adds_up else "[red]does not add up[/]"
        self.say(f"{week['received']:,} received = {' + '.join(parts)} {mark}", number=3)

    def scorecard(self, rows: Sequence[CategoryRow], *, key: str) -> None:
        """Show the lifts of one experiment beside the truth."""
        from rich.table import Table
        from rich.text import Text

        self.say(f"[bold]{key}[/]: click rate by category", number=4)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("category", no_wrap=True)
        for name in ("control", "generated", "lift", "95 % interval", "true lift"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for row in rows:
            lift = row.lift
            name = row.category or "all categories"
            verdict = row.verdict.replace("_", " ")
            table.add_row(
                Text(name, style="" if row.category else "bold"),
                _rate(lift["rate_control"]),
                _rate(lift["rate_treatment"]),
                _percent(lift["relative_lift"]),
                _interval(lift),
                Text(percent(row.true_lift), style="" if row.covered is not False else "yellow"),
                Text(verdict, style=_STYLES.get(row.verdict, "dim")),
            )
        self._show(table)
        self.say(_in_words(rows))
        known = [row.covered for row in rows if row.covered is not None]
        self.say(
            f"[dim]The market knows the true lift; the interval holds it in {sum(known)} of "
            f"{len(known)} rows.[/]"
        )

    def contest(self, contest: Contest, *, experiments: int) -> None:
        """Say what daily peeking would have shipped."""
        peeking, platform = contest.peeking, contest.platform
        self.say(
            f"{peeking.comparisons} category comparisons in {experiments} experiments; in "
            f"{peeking.null} of them the treatment is truly no better.",
            number=5,
        )
        self.say(
            f"A per-impression z-test peeked at daily would have shipped [bold]{peeking.shipped}"
            f"[/], wrong in [bold red]{peeking.wrong}[/]; this platform ships "
            f"[bold]{platform.shipped}[/], wrong in [bold green]{platform.wrong}[/]."
        )
        self.say("[dim]Both look every day at the same rows, bots left out.[/]")

    def faults(self, faults: Iterable[Fault]) -> None:
        """Show what was planted and where it was caught."""
        from rich.table import Table

        self.say("Planted faults and where each was caught", number=6)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("fault", "planted", "caught by", "found"):
            table.add_column(name)
        for fault in faults:
            mark = "[green]\N{CHECK MARK}[/]" if fault.ok else "[red]missed[/]"
            table.add_row(fault.what, fault.planted, fault.caught, f"{fault.found} {mark}")
        self._show(table)

    def reward(self, gate: Mapping[str, Any], *, week: str) -> None:
        """Say how good the reward model is, measured against the noise in its labels."""
        metrics = gate["metrics"]
        if not metrics:
            self.say(f"No reward model could be judged: {'; '.join(gate['reasons'])}", number=7)
            return
        ours = metrics["challenger"]
        self.say(
            f"The reward model learned from {', '.join(metrics['trained_on'])} and judged "
            f"{ours['pairs']:,} pairs of {week} that it had not seen. Labels are noisy, so even a "
            f"perfect model would be right in {ours['noise_ceiling']:.1%} of them only.",
            number=7,
        )
        judged = {"reward model": ours, "its twin on shuffled labels": metrics["shuffled"]}
        judged |= {name.replace("_", " "): row for name, row in metrics["baselines"].items()}
        width = max(map(len, judged))
        for name, row in judged.items():
            share = row["accuracy"] / ours["noise_ceiling"]
            style = "bold" if row is ours else "dim"
            self.say(f"  [{style}]{name:<{width}}  {row['accuracy']:6.1%}  {share:4.0%} of it[/]")
        word = "[bold green]Promoted[/]" if gate["promote"] else "[bold]Not promoted[/]"
        self.say(f"{word}: {because(gate)}.")

    def choice(self, choice: Choice, *, week: str) -> None:
        """Say what the model's ranking would have been worth."""
        self.say(
            f"Had it picked one of every {choice.pictures} generated pictures of {week}, the true "
            f"lift would have been [bold]{percent(choice.chosen)}[/] instead of "
            f"{percent(choice.all)} (the truly best ones: {percent(choice.best)})."
        )

    def report_card(self, cards: Sequence[ReportCard]) -> None:
        """Hold the champion to what it promised of weeks that came after it."""
        if not cards:
            self.say("There is no champion yet, so nobody has promised anything.", number=8)
            return
        from abplatform.cli.report_card import cards_table

        self.say(
            f"The report card of champion {cards[0].checkpoint[:12]}: how often it promised to be "
            "right of pairs that came after it, and how often it was.",
            number=8,
        )
        self._show(cards_table(cards))
        alarms = find_alarms(cards)
        told = "; ".join(alarms) or "what it promised came true"
        self.say(f"[bold red]Alarm[/]: {told}." if alarms else f"No alarm: {told}.")

    def commands(self, commands: Sequence[tuple[str, str]]) -> None:
        """Say what to do next."""
        self.say("Go on from here:", number=9)
        width = max(len(command) for command, _ in commands)
        for command, why in commands:
            # Not through markup: what is pasted must be what is printed.
            self.console.print(
                f"    {command:<{width}}  # {why}", markup=False, highlight=False, soft_wrap=True
            )

    def times(self, seconds: Mapping[str, float], *, total: float) -> None:
        """Show where the time went."""
        shown = ", ".join(f"{step} {taken:.1f}" for step, taken in seconds.items() if taken >= 0.05)
        self.say(f"[dim]Wall time {total:.1f} s; when they ran, by step in seconds: {shown}.[/]")


def because(gate: Mapping[str, Any]) -> str:
    """Say why a model was promoted, in few words, or why not, in all."""
    if not gate["promote"]:
        return "; ".join(gate["reasons"])
    passed = gate["metrics"]["gates"]
    gain = next(row["detail"] for row in passed if row["gate"] == "gain")
    return f"it passed all {len(passed)} gates; {gain}"


def _in_words(rows: Sequence[CategoryRow]) -> str:
    """Say in which categories to ship and in which not."""
    told = [("ship", "Ship in"), ("reject", "reject in"), ("invalid", "nothing to trust in")]
    named = {
        verdict: [row.category for row in rows if row.category and row.verdict == verdict]
        for verdict, _ in told
    }
    parts = [f"{words} {', '.join(named[verdict])}" for verdict, words in told if named[verdict]]
    open_still = sum(bool(row.category) for row in rows) - sum(map(len, named.values()))
    if open_still:
        rest = f"the other {open_still}" if open_still > 1 else "the other one"
        parts.append(f"nothing proven in {rest}" if parts else "nothing proven yet")
    text = "; ".join(parts)
    return f"[bold]{text[:1].upper()}{text[1:]}.[/]"


def _rate(rate: float | None) -> str:
    return _NONE if rate is None else f"{rate:.2%}"


def _percent(value: float | None) -> str:
    return _NONE if value is None else percent(value)


def _interval(lift: Mapping[str, Any]) -> str:
    if lift["ci_low"] is None and lift["ci_high"] is None:
        return str(lift["undetermined"] or _NONE).partition(":")[0]
    return f"{_percent(lift['ci_low'])} … {_percent(lift['ci_high'])}"
