"""Which ads an experiment has in a channel, and the signed names under which they come back.

An ad is one creative in one variant. Networks book it and give it an id of their own; its token
says, signed, which ad it is, so that whatever comes back with it can be believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from abplatform.domain.experiment import Experiment
from abplatform.domain.targeting import targets
from abplatform.errors import RegistryError
from abplatform.traffic.approval import Place, covers
from abplatform.traffic.config import Config, ServedExperiment
from abplatform.traffic.lineup import line_up
from abplatform.traffic.service.tokens import Expired, Forged, Signer

__all__ = ["Ad", "ads_of", "last_moment", "read_token", "token_of"]

_KNOWN_FOR: Final = timedelta(days=400)
"""How long after its last day an ad's token can still be read."""


class Ad(Struct, frozen=True):
    """One creative in one variant, for one channel.

    Args:
        experiment: The experiment's key.
        variant: The variant's name.
        channel: Where it is booked.
        creative_id: sha256 of the master.
        product_id: What it advertises.
        category: The product's category.
    """

    experiment: str
    variant: str
    channel: str
    creative_id: str
    product_id: str
    category: str


def ads_of(config: Config, experiment: Experiment, place: Place) -> list[Ad]:
    """Return every ad of an experiment that may be shown at a place.

    What may be shown is what a decision would show: approved there as people or the YAML say, not
    withdrawn; a variant without a creative of a product shows the product's baseline.

    Args:
        config: All that decides.
        experiment: The experiment.
        place: The channel in which the ads are booked, perhaps a country, and the moment.

    Raises:
        RegistryError: The experiment is not running, or leaves the place out.
    """
    key = experiment.key
    served = config.experiments.get(key)
    if served is None or not served.plan.running:
        raise RegistryError(
            f"{key} is not running, so it has no ads",
            remedy=f"start it with `abp start {key}`",
        )
    for name, value in (("channel", place.channel), ("country", place.country)):
        rule = {name: experiment.targeting[name]} if name in experiment.targeting else {}
        if value is not None and not targets(rule, {name: value}):
            raise RegistryError(
                f"{key} does not target the {name} {value}",
                remedy=f"name a {name} of its targeting",
            )
    return [
        Ad(
            key,
            variant.name,
            place.channel or "",
            creative_id,
            product_id,
            config.categories[product_id],
        )
        for variant in experiment.variants
        for product_id in _products(config, experiment)
        for creative_id in _shown(config, served, place, of=(variant.name, product_id))
    ]


def last_moment(config: Config, ad: Ad, place: Place) -> datetime | None:
    """Return until when an ad is approved at a place; None: for good."""
    served = config.experiments[ad.experiment]
    clauses = served.clauses.get(ad.creative_id) or config.clauses.get(ad.creative_id, ())
    return next((one.until for one in clauses if covers(one, place)), None)


def _products(config: Config, experiment: Experiment) -> Iterator[str]:
    rule = {k: v for k, v in experiment.targeting.items() if k == "category"}
    for product_id, category in config.categories.items():
        if targets(rule, {"category": category}):
            yield product_id


def _shown(
    config: Config, served: ServedExperiment, place: Place, *, of: tuple[str, str]
) -> tuple[str, ...]:
    variant, product_id = of
    mine = served.stocks.get(variant, {}).get(product_id, ())
    shown = line_up(mine, served.excluded, served.clauses, place).eligible
    if shown:
        return shown
    base = config.baselines.get(product_id, ())
    return line_up(base, config.excluded, config.clauses, place).eligible


def token_of(ad: Ad, signer: Signer, *, until: datetime) -> str:
    """Return an ad's signed name.

    Args:
        ad: The ad.
        signer: Knows the workspace's key.
        until: The ad's last moment.
    """
    expires = int((until + _KNOWN_FOR).timestamp())
    return signer.sign("ad", msgspec.json.encode(ad), expires=expires)


def read_token(token: str, signer: Signer) -> Ad:
    """Return the ad that a token names.

    Args:
        token: As it came back.
        signer: Knows the workspace's key.

    Raises:
        RegistryError: It was not signed here, was changed, or is too old.
    """
    try:
        return msgspec.json.decode(signer.read("ad", token).content, type=Ad)
    except (Forged, Expired, msgspec.DecodeError) as error:
        raise RegistryError(
            f"this names no ad of this workspace: {error}",
            remedy="keep the column `ad` as `abp export creatives` wrote it",
        ) from None
