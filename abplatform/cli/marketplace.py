"""The turn's serve step in a simulated market: shoppers see the week's creatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from abplatform.creatives import read_lineage, read_master
from abplatform.domain.catalog import Lineage, Placement, Product
from abplatform.domain.experiment import Approval
from abplatform.errors import CatalogueError
from abplatform.loop.hands import Brief
from abplatform.loop.steps import Json
from abplatform.traffic.approval import Place, clauses_of, group_reviews, why_not
from abplatform.traffic.registry import Registry

if TYPE_CHECKING:
    import polars as pl

    from abplatform.simulation.market import Market
    from abplatform.simulation.taste import Picture
    from abplatform.simulation.traffic import Exposure, Gallery, SimulatedWeek
    from abplatform.workspace import Workspace

__all__ = ["Faults", "SimulateTraffic"]

_SEEN_PIXELS = 128
"""Pictures are kept at this size in memory; shoppers look at 64."""

SOURCE = "simulation"


@dataclass(frozen=True, slots=True)
class Faults:
    """What is planted into a simulated week.

    Args:
        bots: How many bots come.
        lost: Experiment to variant to the share of its units whose assignments are lost.
    """

    bots: int = 0
    lost: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SimulateTraffic:
    """Lets a market's shoppers come for a week and lands the log that results.

    Args:
        products: What is for sale.
        seed: Of the market.
        impressions: How many a week, on average.
        faults: What is planted.
    """

    products: Sequence[Product]
    seed: int
    impressions: int
    faults: Faults = field(default_factory=Faults)

    @property
    def inputs(self) -> Json:
        """What the step's result depends on besides the creatives."""
        return {"seed": self.seed, "impressions": self.impressions, "faults": asdict(self.faults)}

    def __call__(self, brief: Brief) -> Json:
        """Simulate, write the log, land it; say what was true."""
        from abplatform.logs.rewriting import land, passing_folder
        from abplatform.simulation.wire import write_log

        week = self.simulate(brief)
        monday = brief.week.starts_at(brief.workspace.settings.time_zone)
        folder = brief.workspace.runs / str(brief.week) / "serve" / "log"
        prefix = f"{brief.week}-s{self.seed}"
        segments = []
        with passing_folder(brief.workspace, folder) as passing:
            log = write_log(week, passing, monday=monday, prefix=prefix)
            for number, file in enumerate(log.files):
                segments.append(land(brief.workspace, file, source=SOURCE)[0].sha256)
                brief.advance(number + 1, len(log.files))
        bot = week.impressions["bot"]
        return {
            "traffic": "simulated",
            "segments": segments,
            "impressions": len(week.impressions),
            "clicks": int(week.impressions["clicked"].sum()),
            "bot_impressions": int(bot.sum()),
            "planted": {
                "bots": self.faults.bots,
                "lines": log.lines,
                "redelivered": log.redelivered,
                "late": log.late,
                "orphans": log.orphans,
            },
            "true_lifts": _truth(week, brief),
            "true_rates": dict(week.rates),
            "demand": _demand(week),
        }

    def simulate(self, brief: Brief) -> SimulatedWeek:
        """Return the week before it is logged.

        Raises:
            CatalogueError: Every picture of a product is withdrawn, so shoppers would see none.
        """
        from abplatform.simulation.market import Market
        from abplatform.simulation.traffic import Bots, simulate_week

        market = Market(self.seed, self.products, impressions=self.impressions)
        drawn = _admitted(brief, self.products)
        monday = brief.week.starts_at(brief.workspace.settings.time_zone)
        return simulate_week(
            market,
            _gallery(brief, drawn),
            self._exposures(brief, drawn, market),
            monday=monday,
            bots=Bots(self.faults.bots),
            stored=_as_stored(brief.workspace),
        )

    def _exposures(self, brief: Brief, drawn: Mapping[str, Any], market: Market) -> list[Exposure]:
        """Every experiment of the week.

        One whose variants show the same pictures only watches, and so does one in another layer
        than the first that chooses: an impression has one picture.
        """
        from abplatform.simulation.traffic import Exposure

        registry = Registry(brief.workspace)
        monday = brief.week.starts_at(brief.workspace.settings.time_zone)
        exposures: list[Exposure] = []
        chooser: str | None = None
        for key, registered in brief.experiments.items():
            shown = drawn["creatives"].get(key)
            full = None
            layer = registered.experiment.own_layer.name
            if shown is not None and (chooser or layer) == layer:
                chooser = layer
                full = {
                    variant: _filled(shown.get(variant, {}), drawn["default"], market)
                    for variant in registered.experiment.weights
                }
            lost = self.faults.lost.get(key, {})
            plan = registry.plan(key, monday)
            exposures.append(Exposure(plan, registered.experiment.control.name, full, lost))
        return exposures


def _admitted(brief: Brief, products: Sequence[Product]) -> dict[str, Any]:
    """What was drawn for the week and may be shown: approved as each YAML says, not withdrawn."""
    drawn: Any = brief.results["generate"]
    lineage = read_lineage(brief.workspace.creatives)
    registry = Registry(brief.workspace)
    withdrawn = registry.withdrawn().among(lineage.values())
    reviews = group_reviews(registry.every_review())
    # shoppers of the market come from no channel and no country that anybody names
    place = Place(None, None, brief.week.starts_at(brief.workspace.settings.time_zone))

    def may_be_shown(name: str, approval: Approval | None) -> bool:
        said = clauses_of(lineage[name], reviews.get(name, ()), approval)
        return name not in withdrawn and why_not(said, place) is None

    def left(
        shown: Mapping[str, Sequence[str]], approval: Approval | None = None
    ) -> dict[str, list[str]]:
        kept = {p: [name for name in n if may_be_shown(name, approval)] for p, n in shown.items()}
        return {product_id: names for product_id, names in kept.items() if names}

    default = left(drawn["default"])
    for product in products:
        if product.product_id not in default:
            raise CatalogueError(
                f"product {product.product_id!r} has no baseline that may be shown",
                path=brief.workspace.catalog,
                remedy="take the product out of products.csv, or give it another photograph",
            )
    return {
        **drawn,
        "creatives": {
            key: {
                variant: left(shown, brief.experiments[key].experiment.approval)
                for variant, shown in variants.items()
            }
            for key, variants in drawn["creatives"].items()
        },
        "default": default,
    }


def _as_stored(workspace: Workspace) -> Callable[[pl.Series], pl.Series] | None:
    """Return what makes stored ids of shoppers' ids; None where they are stored as they come."""
    import polars as pl

    from abplatform.logs.privacy import pseudonyms_of

    pseudonyms = pseudonyms_of(workspace)
    if pseudonyms is None:
        return None
    return lambda units: pl.Series([pseudonyms.stored(unit) for unit in units], dtype=pl.String)


def _filled(
    shown: Mapping[str, Sequence[str]], default: Mapping[str, Sequence[str]], market: Market
) -> dict[str, Sequence[str]]:
    """A variant's creatives; its default where a product has none of its own."""
    return {
        product.product_id: shown.get(product.product_id) or default[product.product_id]
        for product in market.products
    }


def _gallery(brief: Brief, drawn: Mapping[str, Any]) -> Gallery:
    from abplatform.simulation.traffic import Gallery

    lineage = read_lineage(brief.workspace.creatives)
    shown = [drawn["default"], *(v for e in drawn["creatives"].values() for v in e.values())]
    names = sorted({name for listing in shown for ids in listing.values() for name in ids})
    pictures = {name: _look(brief, lineage[name]) for name in names}
    advertised = {name: lineage[name].product_id for name in names}
    return Gallery(pictures, advertised, drawn["default"])


def _look(brief: Brief, lineage: Lineage) -> Picture:
    """A master as shoppers see it: small, with the product's place scaled alike."""
    import numpy as np
    from PIL import Image

    from abplatform.simulation.taste import Picture

    master = read_master(brief.workspace.creatives, lineage.creative_id)
    height, width = master.shape[:2]
    size = (_SEEN_PIXELS, round(_SEEN_PIXELS * height / width))
    small = Image.fromarray(master).resize(size, Image.Resampling.BOX)
    scale = _SEEN_PIXELS / width
    place = lineage.placement
    scaled = (round(side * scale) for side in (place.x, place.y, place.width, place.height))
    return Picture(np.asarray(small), Placement(*scaled))


def _demand(week: SimulatedWeek) -> dict[str, dict[str, float]]:
    """Experiment to product to the eagerness of all who looked at it, as a weight."""
    names = [product.product_id for product in week.market.products]
    keys = [exposure.plan.experiment_key for exposure in week.exposures]
    return {key: dict(zip(names, week.demand(key)[1].tolist(), strict=True)) for key in keys}


def _truth(week: SimulatedWeek, brief: Brief) -> list[dict[str, Any]]:
    """The exact lift of every treatment by category, overall first."""
    return [
        {
            "experiment": key,
            "treatment": treatment.name,
            "category": true.category,
            "lift": true.lift,
        }
        for key, registered in brief.experiments.items()
        for treatment in registered.experiment.treatments
        for true in week.true_lifts(key, treatment.name)
    ]
