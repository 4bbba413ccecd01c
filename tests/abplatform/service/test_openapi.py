"""The OpenAPI document describes what the service really does."""

import json
import re

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from abplatform.traffic.service.app import ROUTES
from abplatform.traffic.service.openapi import describe


def test_the_document_names_every_route(common):
    """Each route of the service is described, but for the description itself, and no other."""
    described = {
        (method.upper(), path.partition("{")[0])
        for path, methods in describe()["paths"].items()
        for method in methods
    }
    routes = {(route.method, route.path) for route in ROUTES}
    assert routes - described == {("GET", "/openapi.json"), ("GET", "/docs")}
    assert described <= routes


def check_answers(operation, mode):
    """Send cases of an operation, right or wrong ones; the document says what is answered."""
    # Lines that are no events are rejected one by one, in an answer that is 200.
    excluded = [negative_data_rejection] if operation.path == "/v1/events" else []

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def send(case):
        case.call_and_validate(timeout=10, excluded_checks=excluded)

    send()


def test_the_service_answers_as_the_document_says(common):
    """Whatever Schemathesis sends, right or wrong, is answered as described and never by a 5xx."""
    schema = schemathesis.openapi.from_url(f"{common.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(ROUTES) - 2
    for operation in operations:
        check_answers(operation, schemathesis.GenerationMode.POSITIVE)
        if operation.method == "post":
            check_answers(operation, schemathesis.GenerationMode.NEGATIVE)


def test_the_page_needs_nothing_from_elsewhere(common):
    """The docs page shows every path, and fetches no script, style or picture."""
    status, body, headers = common.call("/docs")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    text = body.decode()
    assert all(path in text for path in json.loads(common.call("/openapi.json")[1])["paths"])
    assert not re.findall(r"<script|<iframe|@import|src=|url\(|href=.?https?:", text)
