"""The API for people: one page made from its description, which fetches nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from abplatform.traffic.service.openapi import describe

__all__ = ["docs_page"]

_STYLE: Final = """
body { font: 16px/1.5 system-ui; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { margin-top: 2.5rem; border-top: 1px solid #ddd; padding-top: 1rem }
h2 b { color: #0b6e4f; font-weight: 600; margin-right: .4em }
pre { background: #f4f4f4; padding: .8rem 1rem; overflow: auto; border-radius: 4px }
pre, code { font-size: 14px }
table { border-collapse: collapse; width: 100% }
td { vertical-align: top; padding: .3rem .8rem .3rem 0; border-top: 1px solid #eee }
td:first-child { white-space: nowrap }
nav a { margin-right: 1.2em; white-space: nowrap }
"""


def docs_page() -> str:
    """Return the page as HTML."""
    document = describe()
    calls = [
        (method.upper(), path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    schemas = document["components"]["schemas"]
    links = "".join(f"<a href='#{_anchor(path)}'>{escape(path)}</a> " for _, path, _ in calls)
    parts = [_call(method, path, told) for method, path, told in calls]
    parts += [_schema(name, schema) for name, schema in schemas.items()]
    title = escape(document["info"]["title"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>{_STYLE}</style><h1>{title}</h1><p>{escape(document['info']['description'])} "
        f"As data: <a href=/openapi.json>openapi.json</a>.</p><nav>{links}</nav>{''.join(parts)}"
    )


def _call(method: str, path: str, told: Mapping[str, Any]) -> str:
    asked = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = asked.get("schema", {})
    rows = [
        (f"<b>{status}</b>", f"{_words(answer['description'])} {_answered(answer)}")
        for status, answer in sorted(told["responses"].items())
    ]
    return (
        f"<h2 id='{_anchor(path)}'><b>{method}</b>{escape(path)}</h2>"
        f"<p>{_words(told['summary'])}{f' Body: {_sort(schema)}.' if schema else ''}</p>"
        f"{_example(method, path, schema)}{_table(rows)}"
    )


def _example(method: str, path: str, schema: Mapping[str, Any]) -> str:
    """A call that may be pasted into a shell."""
    address = f"localhost:8080{path}"
    if not schema:
        return f"<pre>curl {escape(address)}</pre>" if "{" not in path else ""
    body = json.dumps(schema["examples"][0], indent=2)
    return f"<pre>curl -X {method} {escape(address)} -d '{escape(body)}'</pre>"


def _answered(answer: Mapping[str, Any]) -> str:
    found = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return _sort(found) if "$ref" in found or "items" in found else ""


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (
            f"<code>{escape(field)}</code>",
            _sort(one) + ("" if field in required else ", optional"),
            _words(one.get("description", "")),
        )
        for field, one in schema.get("properties", {}).items()
    ]
    about = _words(schema.get("description", ""))
    return f"<h2 id='{escape(name)}'>{escape(name)}</h2><p>{about}</p>{_table(rows)}"


def _sort(schema: Mapping[str, Any]) -> str:
    """Say of what sort a value is, with a link to what it is made of."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_sort(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(word))}</code>" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_sort(schema.get('items', {}))}"
    return escape(schema.get("format") or schema.get("type") or "anything")


def _words(text: str) -> str:
    """Escape a text, whose words between backticks are code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{one}</code>" if odd % 2 else one for odd, one in enumerate(pieces))


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _anchor(path: str) -> str:
    return escape(path.strip("/").replace("/", "-").replace("{", "").replace("}", ""))
