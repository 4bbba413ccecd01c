import asyncio
import json
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import Reason

from abplatform.traffic.assignments import assignments_document
from abplatform.traffic.client import Client, LocalClient
from abplatform.traffic.client.provider import AbpProvider
from abplatform.traffic.config import build_config
from abplatform.traffic.registry import Registry

KNOWN = {"country": "DE", "age": 30, "member": True}


def unit(name, **attributes):
    return EvaluationContext(name, attributes)


@pytest.fixture
def document(workspace, tmp_path):
    path = tmp_path / "plans.json"
    path.write_bytes(assignments_document(build_config(workspace)))
    return path


@pytest.fixture
def flags(document):
    api.set_provider_and_wait(AbpProvider(LocalClient(document, refresh_seconds=0.01)))
    yield api.get_client()
    api.shutdown()
    api.clear_providers()


@pytest.fixture
def units(document):
    """For each variant, and for none, a unit that gets it."""
    with LocalClient(document) as local:
        given = [local.assign("lamps", f"user-{number}", KNOWN) for number in range(200)]
    return {one.variant or one.reason: one.unit_id for one in given}


def test_a_string_flag_is_the_variant(flags, units):
    """Assigned units get their variant by SPLIT, forced ones by TARGETING_MATCH."""
    for variant in ("baseline", "generated"):
        found = flags.get_string_details("lamps", "none", unit(units[variant], **KNOWN))
        assert (found.value, found.variant, found.reason) == (variant, variant, Reason.SPLIT)
        assert found.flag_metadata["reason"] == "assigned"
        assert found.flag_metadata["phase"] == 1
    forced = flags.get_string_details("lamps", "none", unit("qa-1"))
    assert (forced.value, forced.reason) == ("generated", Reason.TARGETING_MATCH)


def test_a_boolean_flag_is_whether_it_is_a_treatment(flags, units):
    """The control is false whatever the default is; outside the experiment the default counts."""
    for default in (True, False):
        assert flags.get_boolean_value("lamps", default, unit(units["generated"], **KNOWN)) is True
        assert flags.get_boolean_value("lamps", default, unit(units["baseline"], **KNOWN)) is False
        assert flags.get_boolean_value("lamps", default, unit(units["layer"], **KNOWN)) is default


@pytest.mark.parametrize(
    "attributes",
    [
        {"country": "FR", "age": 30, "member": True},
        {"country": "DE", "age": 17, "member": True},
        {"country": "DE", "age": "30", "member": True},
        {"country": "DE", "age": 30, "member": "true"},
        {"country": "DE", "age": datetime(2026, 1, 1, tzinfo=UTC), "member": True},
        {"country": ["DE"], "age": 30, "member": True},
        {"country": "DE", "age": 30},
    ],
)
def test_targeting_reads_the_attributes(flags, units, attributes):
    """Attributes that do not match, have another type or are missing give the default."""
    found = flags.get_string_details("lamps", "none", unit(units["generated"], **attributes))
    assert (found.value, found.variant, found.reason) == ("none", None, Reason.DEFAULT)
    assert found.flag_metadata["reason"] == "targeting"
    assert found.error_code is None


def test_an_object_flag_is_the_assignment(flags, units):
    """Without a client the object tells variant, buckets and phase; the default stands outside."""
    found = flags.get_object_value("lamps", {}, unit(units["generated"], **KNOWN))
    assert found["variant"] == "generated"
    assert found["unit_id"] == units["generated"]
    assert 0 <= found["bucket"] < 2**32
    assert flags.get_object_value("lamps", {"x": 1}, unit(units["layer"], **KNOWN)) == {"x": 1}


@pytest.mark.parametrize(
    ("flag", "context", "code"),
    [
        ("unknown", unit("u"), ErrorCode.FLAG_NOT_FOUND),
        ("lamps", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
        ("lamps", unit("\ud800"), ErrorCode.INVALID_CONTEXT),
    ],
)
def test_what_cannot_be_resolved_has_a_code(flags, flag, context, code):
    """An unknown flag, a missing unit and one without a UTF-8 form give the default and a code."""
    found = flags.get_string_details(flag, "none", context)
    assert (found.value, found.reason, found.error_code) == ("none", Reason.ERROR, code)


def test_an_experiment_is_no_number(flags):
    """Integer and float flags give their default with TYPE_MISMATCH."""
    whole = flags.get_integer_details("lamps", 7, unit("u"))
    real = flags.get_float_details("lamps", 0.5, unit("u"))
    assert (whole.value, whole.error_code) == (7, ErrorCode.TYPE_MISMATCH)
    assert (real.value, real.error_code) == (0.5, ErrorCode.TYPE_MISMATCH)


def test_a_paused_experiment_is_disabled(workspace, document, flags, units):
    """After a pause units get the default with DISABLED, and the application is told."""
    heard = []
    api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, heard.append)
    Registry(workspace).pause("lamps", at=workspace.clock(), who="t")
    document.write_bytes(assignments_document(build_config(workspace)))
    end = time.monotonic() + 5
    while not heard and time.monotonic() < end:
        time.sleep(0.01)
    found = flags.get_string_details("lamps", "none", unit(units["generated"], **KNOWN))
    assert (found.value, found.reason) == ("none", Reason.DISABLED)


def test_a_provider_without_plans_is_not_ready(tmp_path, document):
    """Until plans come every flag is its default with PROVIDER_NOT_READY; then it begins."""
    late = tmp_path / "late.json"
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(AbpProvider(LocalClient(late, refresh_seconds=0.01)))
    flags = api.get_client()
    found = flags.get_string_details("lamps", "none", unit("qa-1"))
    assert (found.value, found.error_code) == ("none", ErrorCode.PROVIDER_NOT_READY)
    heard = []
    api.add_handler(ProviderEvent.PROVIDER_READY, heard.append)
    document.rename(late)
    end = time.monotonic() + 5
    while not heard and time.monotonic() < end:
        time.sleep(0.01)
    assert flags.get_string_value("lamps", "none", unit("qa-1")) == "generated"
    api.shutdown()
    api.clear_providers()


def test_with_a_client_an_object_flag_is_a_decision(document, serving):
    """The service is asked with the context's words in their places; its failure is the default."""
    sent = []

    def answer(request):
        sent.append(json.loads(request.sent))
        told = {"action": "show", "reason": "assigned", "creative": {"id": "sunny"}}
        request.say(*((200, json.dumps(told).encode()) if len(sent) < 3 else (500, b"oops")))

    context = unit("qa-1", country="DE", age=30, product_ids=["p1"], nested={"a": 1})
    with serving(answer) as url:
        api.set_provider_and_wait(AbpProvider(LocalClient(document), Client(url)))
        flags = api.get_client()
        found = flags.get_object_value("lamps", {}, context)
        later = asyncio.run(flags.get_object_value_async("lamps", {}, context))
        failed = flags.get_object_details("lamps", {"id": "own"}, context)
        api.shutdown()
    api.clear_providers()
    assert found["creative"]["id"] == "sunny"
    assert later == found
    asked = {"country": "DE", "product_ids": ["p1"], "attributes": {"age": 30}}
    assert sent[0] == {"unit_id": "qa-1", "experiment": "lamps", "context": asked}
    assert (failed.value, failed.error_code) == ({"id": "own"}, ErrorCode.GENERAL)


def test_without_the_extra_it_says_what_to_install():
    """Importing the provider without openfeature-sdk names the extra that carries it."""
    code = (
        "import sys; sys.modules['openfeature.evaluation_context'] = None\n"
        "import abplatform.traffic.client.provider"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "pip install 'abplatform[openfeature]'" in run.stderr
