"""A first mapping file, guessed from a log's columns."""

from __future__ import annotations

from collections.abc import Mapping as Names
from pathlib import Path
from typing import Final

from abplatform.logs.mapping.rows import sample_rows
from abplatform.logs.mapping.spec import wire_fields

__all__ = ["draft_mapping"]

_COUNTS: Final = ("impressions", "clicks")
_SYNONYMS: Final[Names[str, tuple[str, ...]]] = {
    "experiment": ("experiment", "experiment_id", "test", "test_id", "campaign_experiment"),
    "variant": ("variant", "group", "arm", "cell", "bucket", "treatment", "policy"),
    "unit_id": ("unit_id", "user_id", "user", "uid", "visitor_id", "client_id", "device_id"),
    "creative_id": ("creative_id", "creative", "ad_id", "ad", "image_id", "banner_id"),
    "product_id": ("product_id", "item_id", "sku", "product", "item", "asin"),
    "category": ("category", "product_category", "category_path", "cat"),
    "event_id": ("event_id", "impression_id", "id", "uuid"),
    "impression_id": ("impression_id", "imp_id"),
    "position": ("position", "slot", "rank"),
    "propensity": ("propensity", "propensity_score", "pscore"),
    "country": ("country", "country_code", "geo"),
    "channel": ("channel", "platform", "medium"),
    "segment": ("segment", "audience"),
    "user_agent": ("user_agent", "ua"),
    "day": ("day", "date", "report_date"),
    "impressions": ("impressions", "imps", "views"),
    "clicks": ("clicks", "link_clicks"),
    "conversions": ("conversions", "purchases"),
    "cost_micros": ("cost_micros", "spend_micros"),
    "value_micros": ("value_micros", "revenue_micros"),
    "currency": ("currency",),
    "kind": ("kind", "conversion_type"),
    "order_id": ("order_id", "order"),
    "action": ("action", "behaviour", "event_name"),
    "item_id": ("item_id", "product_id", "sku"),
}
_TIMES: Final = ("timestamp", "ts", "time", "event_time", "datetime", "created_at", "date")
_CLICKED: Final = ("click", "clicked", "is_click", "clk")
_REQUIRED: Final[Names[str, tuple[str, ...]]] = {
    "impression": ("experiment", "variant", "unit_id", "creative_id", "product_id", "category"),
    "click": ("impression_id",),
    "conversion": ("unit_id", "kind", "value_micros", "currency"),
    "aggregate": (
        "experiment",
        "variant",
        "category",
        "product_id",
        "creative_id",
        "impressions",
        "clicks",
    ),
}


def draft_mapping(path: Path) -> str:
    """Guess a mapping file from a log's column names and first rows.

    Args:
        path: A CSV, Parquet or JSON-lines file.

    Returns:
        YAML with a comment on every line that a person must look at.

    Raises:
        IngestError: The file cannot be read.
    """
    rows = sample_rows(path)
    by_name = {name.casefold(): name for name in rows[0]}
    event = _event(by_name)
    fields = {
        field: column
        for field in wire_fields(event)
        if (column := _first(by_name, _SYNONYMS.get(field, ())))
    }
    clicked = _first(by_name, _CLICKED) if event == "impression" else None
    missing = [name for name in _REQUIRED[event] if name not in fields]
    lines = [
        f"# A first guess from {path.name}; look at every line, then try: abp ingest {path.name}",
        "# --mapping THIS --dry-run",
        f"event: {event}",
        "fields:",
        *(
            f"  {field}: {_quoted(column)}    # for example {rows[0][column]!r}"
            for field, column in fields.items()
        ),
    ]
    constants = [name for name in missing if name != "unit_id"]
    if constants:
        lines += ["constants:", *(f"  {name}: CHANGE-ME    # no column fits" for name in constants)]
    numbered = {} if "event_id" in fields else {"event_id": "row"}
    if "unit_id" in missing:
        numbered["unit_id"] = "request"
    if numbered:
        pairs = ", ".join(f"{name}: {word}" for name, word in numbered.items())
        lines.append(f"row_number: {{{pairs}}}    # ids from the file's hash and the row")
    lines += _time_lines(by_name, rows[0], fields, event)
    if clicked:
        lines.append(f"clicked: {_quoted(clicked)}    # 1 makes a click of the row")
    if "experiment" in fields:
        lines.append(
            "experiment: {assignment: external, control: first}    # leave out if YAML says it"
        )
    return "\n".join(lines) + "\n"


def _event(by_name: Names[str, str]) -> str:
    if all(_first(by_name, _SYNONYMS[name]) for name in _COUNTS):
        return "aggregate"
    if _first(by_name, _CLICKED) or _first(by_name, _SYNONYMS["creative_id"]):
        return "impression"
    if "impression_id" in by_name and len(by_name) <= 4:
        return "click"
    money = _first(by_name, _SYNONYMS["value_micros"]) or _first(by_name, _SYNONYMS["order_id"])
    return "conversion" if money else "impression"


def _first(by_name: Names[str, str], names: tuple[str, ...]) -> str | None:
    return next((by_name[name] for name in names if name in by_name), None)


def _time_lines(
    by_name: Names[str, str], row: Names[str, object], fields: Names[str, str], event: str
) -> list[str]:
    column = _first(by_name, _TIMES)
    if event == "aggregate" and "day" in fields:
        return []
    if column is None:
        return ["time: {field: CHANGE-ME}    # which column says when?"]
    value = str(row[column] or "")
    if value.isdigit() and len(value) == 13:
        return [f"time: {{field: {_quoted(column)}, format: epoch_ms}}"]
    if "+" in value[10:] or value.endswith("Z") or "-" in value[11:]:
        return [f"time: {{field: {_quoted(column)}}}    # RFC 3339 with its offset"]
    pattern = f'time: {{field: {_quoted(column)}, format: "%Y-%m-%d %H:%M:%S%z"}}'
    return [f"{pattern}    # {value!r} names no offset from UTC: it must"]


def _quoted(column: str) -> str:
    return column if column.replace("_", "").isalnum() else f'"{column}"'
