"""What columns of foreign logs are called, in English and German."""

from __future__ import annotations

import re
from collections.abc import Mapping as Names
from typing import Final

__all__ = ["CLICKED", "SYNONYMS", "TIMES", "find_column", "plain_name"]

SYNONYMS: Final[Names[str, tuple[str, ...]]] = {
    "experiment": (
        *("experiment", "experiment_id", "test", "test_id", "campaign_experiment"),
        *("versuch", "campaign", "kampagne"),
    ),
    "variant": (
        *("variant", "group", "arm", "cell", "bucket", "treatment", "policy", "ad_set"),
        *("variante", "gruppe", "anzeigengruppe"),
    ),
    "unit_id": (
        *("unit_id", "user_id", "user", "uid", "visitor_id", "client_id", "device_id"),
        *("customer_id", "customer", "nutzer_id", "nutzer", "kunden_id", "kunde", "besucher"),
    ),
    "creative_id": (
        *("creative_id", "creative", "ad_id", "ad", "image_id", "banner_id", "banner"),
        *("werbemittel", "anzeige", "motiv"),
    ),
    "product_id": (
        *("product_id", "item_id", "sku", "product", "item", "asin"),
        *("artikel_nr", "artikelnummer", "artikel", "produkt"),
    ),
    "category": (
        *("category", "product_category", "category_path", "cat", "shelf"),
        *("kategorie", "warengruppe"),
    ),
    "event_id": ("event_id", "impression_id", "id", "uuid"),
    "impression_id": ("impression_id", "imp_id"),
    "position": ("position", "slot", "rank"),
    "propensity": ("propensity", "propensity_score", "pscore"),
    "country": ("country", "country_code", "geo", "land"),
    "channel": ("channel", "platform", "medium", "kanal"),
    "segment": ("segment", "audience", "zielgruppe"),
    "user_agent": ("user_agent", "ua"),
    "day": ("day", "date", "report_date", "datum", "tag"),
    "impressions": ("impressions", "imps", "views", "impressionen", "einblendungen"),
    "clicks": ("clicks", "link_clicks", "klicks"),
    "conversions": ("conversions", "purchases", "bestellungen"),
    "cost_micros": ("cost_micros", "spend_micros"),
    "value_micros": ("value_micros", "revenue_micros"),
    "cost": ("cost", "spend", "kosten"),
    "value": ("value", "revenue", "amount", "total", "order_value", "umsatz", "betrag"),
    "currency": ("currency", "currency_code", "währung", "waehrung"),
    "kind": ("kind", "conversion_type"),
    "order_id": ("order_id", "order", "bestell_nr", "bestellnummer"),
    "action": ("action", "behaviour", "event_name"),
    "item_id": ("item_id", "product_id", "sku", "artikel"),
}
"""Wire field, or word of ``money``, to what a column for it is called."""

TIMES: Final = (
    *("timestamp", "ts", "time", "event_time", "datetime", "date_time", "created_at", "when"),
    *("zeitpunkt", "zeitstempel", "zeit", "uhrzeit", "date", "day", "datum", "tag", "week"),
)
CLICKED: Final = ("click", "clicked", "is_click", "clk", "geklickt", "klick")

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER: Final = re.compile(r"[^\w]+")


def plain_name(column: str) -> str:
    """Return a column's name without case, spaces and marks: ``Ad ID``, ``adId`` → ``ad_id``."""
    return _OTHER.sub("_", _CAMEL.sub("_", column.strip())).strip("_").casefold()


def find_column(by_name: Names[str, str], names: tuple[str, ...]) -> str | None:
    """Return the column that has the first of some names.

    Args:
        by_name: Plain name to column.
        names: In order of preference.
    """
    return next((by_name[name] for name in names if name in by_name), None)
