"""``/healthz``, ``/readyz`` and ``/metrics``: is it alive, can it do its work, how does it do."""

from __future__ import annotations

import time
from typing import Final

from abplatform.errors import AbplatformError
from abplatform.traffic.service.calls import Call, Reply, json_reply
from abplatform.traffic.service.docs_page import docs_page
from abplatform.traffic.service.openapi import describe
from abplatform.traffic.service.parts import Parts

__all__ = ["alive", "description", "docs", "metrics", "ready", "show_gauges"]

_OLDEST_LOOK_SECONDS: Final = 5.0


async def alive(_parts: Parts, _call: Call) -> Reply:
    """Say that the process answers."""
    return json_reply({"status": "ok"})


async def description(_parts: Parts, _call: Call) -> Reply:
    """Describe the API as data."""
    return json_reply(describe())


async def docs(_parts: Parts, _call: Call) -> Reply:
    """Describe the API to people."""
    return Reply(200, docs_page().encode(), b"text/html; charset=utf-8")


async def ready(parts: Parts, call: Call) -> Reply:
    """Check what the work needs; 503 when something of it is missing.

    Problems with files do not make it unready: the last good config decides on.
    """
    now = parts.watcher.now
    checks = {
        "config": parts.watcher.has_config,
        "config_looked_at": time.monotonic() - parts.watcher.looked_at < _OLDEST_LOOK_SECONDS,
        "landing": parts.recorder.trouble is None and parts.recorder.alive,
        "space": _has_space(parts),
        "spool": parts.recorder.spooled == 0,
    }
    told: dict[str, object] = {
        "status": "ready" if all(checks.values()) else "not ready",
        "checks": checks,
        "config": now.config.version,
        "halted": now.config.halted,
        "problems": len(parts.watcher.problems),
    }
    if now.access.caller(call.headers.get(b"authorization")):
        trouble = parts.recorder.trouble
        told["problems"] = [*parts.watcher.problems, *([trouble] if trouble else [])]
    return json_reply(told, status=200 if all(checks.values()) else 503)


async def metrics(parts: Parts, call: Call) -> Reply:
    """Return the numbers for Prometheus."""
    parts.admit(call, parts.watcher.now)
    return Reply(200, parts.metrics.text(), b"text/plain; version=0.0.4; charset=utf-8")


def show_gauges(parts: Parts) -> None:
    """Let the metrics show what is read when somebody asks."""
    watcher, recorder, gauge = parts.watcher, parts.recorder, parts.metrics.gauge
    gauge(
        "abp_config_age_seconds",
        "Since somebody looked whether files have changed.",
        lambda: time.monotonic() - watcher.looked_at,
    )
    gauge("abp_config_reloads", "Configs read.", lambda: watcher.reloads)
    gauge("abp_config_failures", "Reads that failed.", lambda: watcher.failures)
    gauge("abp_config_problems", "Files with problems.", lambda: len(watcher.problems))
    gauge("abp_halted", "1 while all experiments are off.", lambda: watcher.now.config.halted)
    gauge("abp_spool_lines", "Lines that wait for the disk.", lambda: recorder.spooled)
    gauge("abp_spool_lost_lines", "Lines lost from a full spool.", lambda: recorder.lost)


def _has_space(parts: Parts) -> bool:
    try:
        parts.workspace.check_space()
    except (AbplatformError, OSError):
        return False
    return True
