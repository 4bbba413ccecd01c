"""A hundred configs one after the other, while calls are answered."""

import asyncio
import json
import threading
from datetime import UTC, datetime

from abplatform.traffic.registry import Registry, Review
from abplatform.traffic.service.app import make_app

BATCH = json.dumps(
    [
        {"unit_id": f"u{n}", "experiment": "lamps", "context": {"product_ids": ["p1"]}}
        for n in range(150)
    ]
).encode()


async def ask(app):
    """One batch, called as a server calls an application."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/decide/batch",
        "scheme": "http",
        "headers": [(b"host", b"ads.example.com")],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": BATCH, "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_hundred_reloads_under_load_mix_no_answer(shop):
    """Each batch is of one config, and one config shows one line-up to a variant."""
    app = make_app(shop)
    registry, watcher = Registry(shop), app.parts.watcher
    generated = next(
        name for name, one in watcher.now.config.creatives.items() if one.source == "generated"
    )
    before, done = watcher.reloads, threading.Event()

    def reload():
        try:
            for turn in range(100):
                word = "rejected" if turn % 2 == 0 else "approved"
                registry.record_review(Review(generated, word, datetime.now(UTC), "t"))
                watcher.look()
        finally:
            done.set()

    async def load():
        found = [await ask(app)]
        while not done.is_set():
            found.append(await ask(app))
        return found

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        found = asyncio.run(load())
    finally:
        thread.join()
        app.close()
    assert watcher.reloads - before >= 100
    assert {status for status, _ in found} == {200}
    shown = {}
    for _, answers in found:
        (version,) = {one["config"] for one in answers}
        for one in answers:
            if one["assignments"][0]["variant"] == "generated":
                shown.setdefault(version, set()).add(one["creative"]["id"])
    assert len(shown) > 10
    assert {len(names) for names in shown.values()} == {1, 2}
