"""The Python clients against a running service."""

import time
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from abplatform.traffic.client import Client, LocalClient, Rejected, ShownCreative
from abplatform.traffic.client.provider import AbpProvider
from abplatform.traffic.decisions import Request, RequestContext
from abplatform.traffic.registry import Registry

WORD = "between-us"
PLAIN = ShownCreative(id="plain")
LAMP = RequestContext(product_ids=["p1"])
UNITS = [f"user-{number}" for number in range(40)]


def ask(unit):
    return Request(unit_id=unit, experiment="lamps", context=LAMP)


def until(holds, seconds=5.0):
    """Wait until something holds; whether it did."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


@pytest.fixture
def guarded(shop, serve):
    """A service that wants a token."""
    digest = sha256(WORD.encode()).hexdigest()
    settings = shop.root / "abp.yaml"
    settings.write_text(f"{settings.read_text()}tokens: {{ads: 'sha256:{digest}'}}\n")
    return serve()


def test_service_and_local_client_agree(guarded):
    """Asked one by one, in a batch or at home, a unit has one variant; the token is needed."""
    with (
        Client(guarded.url, token=WORD, timeout_seconds=5) as client,
        LocalClient(guarded.url, token=WORD) as local,
        Client(guarded.url, timeout_seconds=5) as stranger,
        LocalClient(guarded.url) as strange,
    ):
        alone = [client.decide(ask(unit)).variant("lamps") for unit in UNITS]
        together = [one.variant("lamps") for one in client.decide_batch(list(map(ask, UNITS)))]
        at_home = [local.assign("lamps", unit, {}).variant for unit in UNITS]
        refused = stranger.decide(ask("u"), default=PLAIN)
    assert alone == together == at_home
    assert set(alone) == {"baseline", "generated"}
    assert refused.creative == PLAIN
    assert "HTTP 401" in refused.problem
    assert "HTTP 401" in strange.problem


def test_pseudonyms_agree_too(shop, serve):
    """Where units are pseudonyms, service and local client hash the same one."""
    key = shop.root / "abp.key"
    key.write_text("5e" * 32)
    settings = shop.root / "abp.yaml"
    said = "privacy: {pseudonyms: {key_file: abp.key}}"
    settings.write_text(f"{settings.read_text()}{said}\n")
    server = serve()
    with (
        Client(server.url, timeout_seconds=5) as client,
        LocalClient(server.url, key_file=key) as local,
        LocalClient(server.url) as without,
    ):
        served = [one.variant("lamps") for one in client.decide_batch(list(map(ask, UNITS)))]
        assert served == [local.assign("lamps", unit, {}).variant for unit in UNITS]
        assert without.assign("lamps", "u", {}) is None
        assert "no key was given" in without.problem
    landed = {event["unit_id"] for event in server.landed() if "unit_id" in event}
    assert landed
    assert landed.isdisjoint(UNITS)


def test_events_reach_the_landing(shop, serve):
    """An acknowledged event is in the landing, and a rejected one is told by its place."""
    server = serve()
    at = datetime.now(UTC)
    seen = {"schema": 1, "event_type": "feedback", "impression_id": "i1", "score": 1, "ts": at}
    with Client(server.url) as client:
        done = client.report(
            [{**seen, "event_id": "f1"}, {**seen, "ts": "today", "event_id": "f2"}]
        )
    assert (done.received, done.acknowledged) == (2, 1)
    assert done.rejected == (Rejected(1, "bad_timestamp"),)
    assert "f1" in {event["event_id"] for event in server.landed()}


def test_flags_follow_the_service(shop, serve):
    """A provider's flags are the service's variants; after a pause they are the defaults."""
    server = serve()
    local = LocalClient(server.url, refresh_seconds=0.05)
    api.set_provider_and_wait(AbpProvider(local, Client(server.url, timeout_seconds=5)))
    flags, someone = api.get_client(), EvaluationContext("user-1", {"product_ids": ["p1"]})
    variant = server.decide("user-1")["assignments"][0]["variant"]
    decision = flags.get_object_value("lamps", {}, someone)
    assert flags.get_string_value("lamps", "none", someone) == variant
    assert flags.get_boolean_value("lamps", False, someone) is (variant == "generated")
    assert decision["assignments"][0]["variant"] == variant
    assert decision["creative"]["url"].startswith(server.url)
    Registry(shop).pause("lamps", at=datetime.now(UTC), who="t")
    assert until(lambda: flags.get_string_value("lamps", "none", someone) == "none")
    api.shutdown()
    api.clear_providers()


@pytest.mark.fault
def test_a_killed_service_costs_defaults_only(serve):
    """After SIGKILL decisions are defaults at once and units keep their variants at home."""
    server = serve()
    with (
        Client(server.url, timeout_seconds=5) as client,
        LocalClient(server.url, refresh_seconds=0.02) as local,
    ):
        before = [local.assign("lamps", unit, {}) for unit in UNITS]
        assert client.decide(ask("user-1")).reason == "assigned"
        server.process.kill()
        server.process.wait()
        begun = time.monotonic()
        assert {client.decide(ask(unit), default=PLAIN).creative for unit in UNITS} == {PLAIN}
        assert time.monotonic() - begun < 5
        assert until(lambda: local.problem is not None)
        assert [local.assign("lamps", unit, {}) for unit in UNITS] == before
