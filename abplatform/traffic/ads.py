"""Which ads an experiment has in a channel, and the signed names under which they come back.

An ad is one creative in one variant. Networks book it and give it an id of their own; its token
says, signed, which ad it is, so that whatever comes back with it can be believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from abplatform.domain.experiment import Experiment
from abplatform.domain.targeting import targets
from abplatform.errors import RegistryError
from abplatform.traffic.approval import Place
from abplatform.traffic.config import Config, ServedExperiment
from abplatform.traffic.lineup import line_up
from abplatform.traffic.service.tokens import Expired, Forged, Signer

__all__ = ["Ad", "ads_of", "read_token", "token_of"]

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


@dataclass(frozen=True, slots=True)
class _Asked:
    config: Config
    served: ServedExperiment
    experiment: Experiment
    place: Place


def ads_of(config: Config, experiment: Experiment, channel: str, *, at: datetime) -> list[Ad]:
    """Return every ad of an experiment that may be shown in a channel.

    What may be shown is what a decision would show: approved as the YAML says, not withdrawn; a
    variant without a creative of a product shows the product's baseline.

    Args:
        config: All that decides.
        experiment: The experiment.
        channel: Where the ads are booked.
        at: When they are.

    Raises:
        RegistryError: The experiment is not running, or leaves the channel out.
    """
    key = experiment.key
    served = config.experiments.get(key)
    if served is None or not served.plan.running:
        raise RegistryError(
            f"{key} is not running, so it has no ads",
            remedy=f"start it with `abp start {key}`",
        )
    wanted = experiment.targeting.get("channel")
    if wanted is not None and not targets({"channel": wanted}, {"channel": channel}):
        raise RegistryError(
            f"{key} does not target the channel {channel}",
            remedy="name a channel of its targeting",
        )
    asked = _Asked(config, served, experiment, Place(channel, None, at))
    return [
        Ad(key, variant.name, channel, creative_id, product_id, config.categories[product_id])
        for variant in experiment.variants
        for product_id in _products(asked)
        for creative_id in _shown(asked, variant.name, product_id)
    ]


def _products(asked: _Asked) -> Iterator[str]:
    rule = {k: v for k, v in asked.experiment.targeting.items() if k == "category"}
    for product_id, category in asked.config.categories.items():
        if targets(rule, {"category": category}):
            yield product_id


def _shown(asked: _Asked, variant: str, product_id: str) -> tuple[str, ...]:
    mine = asked.served.stocks.get(variant, {}).get(product_id, ())
    shown = line_up(mine, asked.served.excluded, asked.served.clauses, asked.place).eligible
    if shown:
        return shown
    base = asked.config.baselines.get(product_id, ())
    return line_up(base, asked.config.excluded, asked.config.clauses, asked.place).eligible


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
