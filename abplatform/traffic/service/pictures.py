"""``GET /v1/creatives/<sha256>``: the picture, until it is withdrawn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from abplatform.traffic.service.calls import Call, Refused, Reply
from abplatform.traffic.service.parts import Parts

__all__ = ["picture"]

_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")
_GONE: Final[Mapping[str, str]] = {"withdrawn": "this creative has been withdrawn"}


async def picture(parts: Parts, call: Call) -> Reply:
    """Return a master's bytes; clients may keep them as long as an answer is valid."""
    now = parts.watcher.now
    creative_id = call.rest
    if now.config.excluded.get(creative_id) in _GONE:
        raise Refused(410, "withdrawn", _GONE["withdrawn"])
    if creative_id not in now.config.creatives or not _ID.fullmatch(creative_id):
        raise Refused(404, "unknown_creative", "there is no creative of this name")
    etag = f'"{creative_id}"'.encode()
    headers = [
        (b"cache-control", f"public, max-age={int(now.service.valid.total_seconds())}".encode()),
        (b"etag", etag),
    ]
    if call.headers.get(b"if-none-match") == etag:
        return Reply(304, b"", None, headers)
    found = _read(parts.workspace.creatives / f"{creative_id}.webp")
    if found is None:
        raise Refused(404, "no_picture", "the creative has no picture here")
    return Reply(200, found, b"image/webp", headers)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
