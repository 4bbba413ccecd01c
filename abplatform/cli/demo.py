"""``abp demo``: two simulated weeks of a shop, told as they pass."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.checkpoints.report_cards import read_cards
from abplatform.cli.demo_faults import LOST, gather_faults, show_other_product
from abplatform.cli.demo_world import (
    CREATIVES,
    NEXT_WEEK,
    NULL,
    SHOP,
    WEEKS,
    demo_keys,
    write_world,
)
from abplatform.cli.options import json_option, print_json, progress
from abplatform.cli.weekly import make_hands, simulated_clock
from abplatform.durable import replace_durably
from abplatform.errors import WorkspaceError
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from rich.console import Console

    from abplatform.cli.demo_facts import DemoWeek
    from abplatform.cli.demo_story import Story
    from abplatform.loop.steps import Finished

__all__ = ["DemoSizes", "demo", "run_demo"]

_BYTES_AN_IMPRESSION = 720
"""What an impression takes on disk with its click, its landed lines and its row in the store."""


@dataclass(frozen=True, slots=True)
class DemoSizes:
    """How large the demo's world is.

    Args:
        products: How many are drawn.
        per_product: How many generated creatives each gets a week.
        impressions: How many a week, on average.
        bots: How many bots come in the first week.
        epochs: Passes of the reward model's training at most; None for its own default.
    """

    products: int = 36
    per_product: int = 4
    impressions: int = 600_000
    bots: int = 30
    epochs: int | None = None


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="The folder that everything goes into.",
)
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True)
@json_option
def demo(out: Path, *, seed: int, as_json: bool) -> None:
    """Run two simulated weeks in a folder of their own; needs no network.

    A second call finds everything done and tells it again.
    """
    from rich.console import Console

    console = Console(quiet=as_json, width=None if Console().is_terminal else 110)
    summary = run_demo(out, seed=seed, sizes=DemoSizes(), console=console)
    if as_json:
        print_json(summary)


def run_demo(out: Path, *, seed: int, sizes: DemoSizes, console: Console) -> dict[str, Any]:
    """Run the demo, or what is left of it, and tell it.

    Args:
        out: The workspace's folder.
        seed: Decides products, scenes, market and model.
        sizes: How large the world is.
        console: Where it is told.

    Returns:
        What it came to, as plain data.

    Raises:
        WorkspaceError: The folder holds something else, or a demo of another seed or size.
    """
    from abplatform.cli.demo_story import Story

    began = time.monotonic()
    _claim(out, {"seed": seed, **asdict(sizes)})
    story = Story(console)
    story.rule(f"abp demo: two simulated weeks of a shop, seed {seed}")
    write_world(out, products=sizes.products, per_product=sizes.per_product, seed=seed)
    run = _Demo(open_workspace(out), seed, sizes, story)
    run.open()
    for week in WEEKS:
        run.week(week)
    summary = run.close()
    run.story.times(run.seconds, total=time.monotonic() - began)
    return {**summary, "seconds": round(time.monotonic() - began, 1)}


def _claim(out: Path, world: Mapping[str, Any]) -> None:
    """Take an empty folder, or the folder of this very demo."""
    note = out / "data" / "demo.json"
    if note.is_file():
        if json.loads(note.read_bytes()) == world:
            return
        raise WorkspaceError(
            f"the demo in {out} was made otherwise: {note.read_text().strip()}",
            path=note,
            remedy="name another folder with --out, or remove that one",
        )
    if out.is_dir() and any(out.iterdir()):
        raise WorkspaceError(
            "the folder is not empty and holds no demo",
            path=out,
            remedy="name a new or empty folder with --out",
        )
    replace_durably(note, json.dumps(world).encode())


class _Demo:
    """A demo under way."""

    def __init__(self, workspace: Workspace, seed: int, sizes: DemoSizes, story: Story) -> None:
        self.workspace = workspace
        self.seed = seed
        self.sizes = sizes
        self.story = story
        self.weeks: list[DemoWeek] = []
        self.seconds: dict[str, float] = {}
        self.ran = False

    def open(self) -> None:
        """Say what goes in."""
        from generators.intake import read_products

        self.ready = read_products(self.workspace.catalog).ready
        categories = {ready.product.category.at_level(1) for ready in self.ready}
        root = self.workspace.root
        gigabytes = len(WEEKS) * self.sizes.impressions * _BYTES_AN_IMPRESSION / 1e9
        self.story.say(
            f"{len(self.ready)} products drawn by this repository, {len(categories)} categories, "
            f"{self.sizes.impressions:,} impressions a week. "
            f"No network, all in {root} (about {gigabytes:.1f} GB).",
            number=1,
        )
        about = {
            CREATIVES: "do generated scenes beat plain studio pictures?",
            SHOP: "a badge elsewhere on the page; its first week's log is broken",
            NULL: "two equal variants: whatever it finds is luck",
        }
        self.story.say(f"Three experiments a week, each a YAML file in {root}/experiments:")
        keys = demo_keys(WEEKS[0])
        width = max(map(len, keys.values()))
        for name, key in keys.items():
            self.story.say(f"  {key:<{width}}  [dim]{about[name]}[/]")

    def week(self, week: str) -> None:
        """Run one week's turn and tell it step by step."""
        from abplatform.cli.demo_facts import DemoWeek
        from abplatform.cli.marketplace import Faults
        from abplatform.loop.turn import run_week
        from abplatform.loop.weeks import parse_week

        self.story.rule(week)
        first = week == WEEKS[0]
        lost = {demo_keys(week)[SHOP]: {"with_badge": LOST}} if first else {}
        clock = simulated_clock(self.workspace, parse_week(week))
        workspace = replace(self.workspace, clock=clock)
        hands = make_hands(
            workspace,
            seed=self.seed,
            impressions=self.sizes.impressions,
            epochs=self.sizes.epochs,
            faults=Faults(bots=self.sizes.bots if first else 0, lost=lost),
        )
        results: dict[str, Any] = {}
        tellers = {
            "generate": self._drawn,
            "ingest": self._ingested,
            "analyse": self._analysed,
            "decide": self._decided,
            "promote": self._learned,
        }
        with progress(week) as advance:

            def watch(step: str, finished: Finished | None) -> None:
                if finished is None:
                    return
                results[step] = finished.result
                self._count_time(finished)
                if step in tellers:
                    tellers[step](week, results)

            run_week(workspace, week, hands, advance=advance, watch=watch)
        self.weeks.append(DemoWeek.read(workspace, week, results))

    def _count_time(self, finished: Finished) -> None:
        self.seconds[finished.step] = self.seconds.get(finished.step, 0.0) + finished.seconds
        self.ran = self.ran or not finished.resumed

    def _drawn(self, week: str, results: Mapping[str, Any]) -> None:
        """Point 2: the week's creatives, the refused ones and the contact sheet."""
        drawn = results["generate"]
        shown = drawn["creatives"][demo_keys(week)[CREATIVES]]
        counts = {variant: sum(map(len, of.values())) for variant, of in shown.items()}
        parts = " + ".join(f"{count} {variant}" for variant, count in counts.items())
        refused = "".join(
            f"; {row['product_id']}: {', '.join(row['reasons'])}" for row in drawn["refused"][:5]
        )
        self.story.say(
            f"{sum(counts.values())} creatives: {parts}; {len(drawn['refused'])} refused{refused}",
            number=2,
        )
        if week == WEEKS[0]:
            self._show_wrong_product()
            self.story.say(f"See them: {self._sheet(shown)}")

    def _show_wrong_product(self) -> None:
        self.inspection, meant, shown = show_other_product(self.ready, seed=self.seed)
        word = "let through" if self.inspection.usable else "refused"
        self.story.say(
            f"Planted: a picture of “{shown.product.title}” offered for "
            f"“{meant.product.title}”: {word} ({', '.join(self.inspection.reasons)})"
        )

    def _sheet(self, shown: Mapping[str, Mapping[str, Sequence[str]]]) -> Path:
        from abplatform.creatives import read_lineage
        from generators.sheet import contact_sheet

        path = self.workspace.root / "creatives.png"
        if not path.is_file():
            lineage = read_lineage(self.workspace.creatives)
            names = [name for of in shown.values() for ids in of.values() for name in ids]
            contact_sheet(
                path,
                products=[ready.product for ready in self.ready],
                lineages=[lineage[name] for name in names],
                root=self.workspace.creatives,
            )
        return path

    def _ingested(self, week: str, results: Mapping[str, Any]) -> None:
        """Point 3: the identity."""
        before = self.weeks[-1].results["ingest"]["totals"] if self.weeks else {}
        self.story.count(results["ingest"]["totals"], before=before)

    def _analysed(self, week: str, results: Mapping[str, Any]) -> None:
        """Point 4: the scorecard beside the truth."""
        from abplatform.cli.demo_facts import DemoWeek, category_rows

        found = DemoWeek.read(self.workspace, week, results)
        rows = category_rows(found.creatives, found.truth)
        self.story.scorecard(rows, key=found.creatives["experiment"])

    def _decided(self, week: str, results: Mapping[str, Any]) -> None:
        """What the other experiments came to."""
        verdicts = results["decide"]["verdicts"]
        keys = demo_keys(week)
        told = ", ".join(f"{keys[name]} {verdicts[keys[name]]['verdict']}" for name in (SHOP, NULL))
        self.story.say(f"The other two: {told.replace('_', ' ')}.")

    def _learned(self, week: str, results: Mapping[str, Any]) -> None:
        """What the week taught."""
        gate = results["gate"]
        outcome = "promoted" if gate["promote"] else f"not promoted: {'; '.join(gate['reasons'])}"
        self.story.say(f"{results['pairs']['pairs']} preference pairs; reward model {outcome}.")

    def close(self) -> dict[str, Any]:
        """Points 5 to 9, and the report."""
        from abplatform.cli.demo_facts import hold_contest, value_of_choice
        from abplatform.cli.demo_page import write_page
        from abplatform.logs.store.published import read_published

        self.story.rule("What it comes to")
        daily = read_published(self.workspace.published).tables["daily"]
        contest = hold_contest(self.weeks, daily)
        experiments = sum(len(week.scorecards) for week in self.weeks)
        self.story.contest(contest, experiments=experiments)
        faults = gather_faults(self.weeks, self.inspection)
        self.story.faults(faults)
        gate = self.weeks[-1].results["gate"]
        self.story.reward(gate, week=self.weeks[-1].week)
        choice = value_of_choice(self.weeks[-1])
        if choice is not None:
            self.story.choice(choice, week=self.weeks[-1].week)
        champion = self.weeks[-1].results["promote"]["champion"]
        cards = read_cards(self.workspace.checkpoints, champion) if champion else []
        self.story.report_card(cards)
        page = self.workspace.root / "report.html"
        if self.ran or not page.is_file():
            write_page(
                page, self.workspace, self.weeks, contest=contest, faults=faults, cards=cards
            )
        self.story.commands(self._commands())
        return {
            "workspace": str(self.workspace.root),
            "seed": self.seed,
            "report": str(page),
            "creatives": str(self.workspace.root / "creatives.png"),
            "weeks": {
                week.week: {
                    "receipt": week.results["ingest"]["totals"],
                    "verdicts": week.results["decide"]["verdicts"],
                    "truth": week.truth,
                    "pairs": week.results["pairs"]["pairs"],
                    "reward": week.results["gate"],
                }
                for week in self.weeks
            },
            "contest": asdict(contest),
            "choice": asdict(choice) if choice else None,
            "faults": [asdict(fault) for fault in faults],
            "report_cards": [card.to_json() for card in cards],
            "steps": self.seconds,
        }

    def _commands(self) -> list[tuple[str, str]]:
        root = self.workspace.root
        key = demo_keys(WEEKS[-1])[CREATIVES]
        return [
            (f"abp dashboard -w {root}", "scorecards and pictures in the browser"),
            (f"abp analyze {key} -w {root}", "one scorecard; --json for every number"),
            (f"abp reward card -w {root}", "what the champion promised, and what came true"),
            (f"abp validate {root}/experiments", "after editing a YAML file there"),
            (
                f"abp weekly {NEXT_WEEK} --traffic simulated --seed {self.seed} -w {root}",
                _next_turn(self.weeks[-1]),
            ),
        ]


def _next_turn(week: DemoWeek) -> str:
    champion = week.results["promote"]["champion"]
    return "the next turn; " + (
        "the champion now screens scenes" if champion else "there is no champion to screen scenes"
    )
