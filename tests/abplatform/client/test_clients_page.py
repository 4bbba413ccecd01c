"""The code in docs/clients.md."""

import json
import re
from pathlib import Path

import pytest
from flask import Flask
from openfeature import api

from abplatform.traffic.client import Client, LocalClient

PAGE = Path(__file__).parents[3] / "docs" / "clients.md"
KNOWN = {"country": "DE", "age": 30, "member": True}


def code_of(heading):
    """What a section's Python block defines."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {"__name__": "page"}
    exec(block, names)  # noqa: S102 -- the page's own code
    return names


@pytest.fixture
def answers(serving):
    """A service with one picture; it hears what it is asked."""
    asked = []

    def answer(request):
        asked.append(json.loads(request.sent))
        told = {
            "decision_id": "d1",
            "action": "show",
            "reason": "assigned",
            "creative": {"id": "sunny", "url": "http://ads/sunny.webp", "text": "A <new> lamp"},
            "impression_url": "http://ads/i/1",
            "click_url": "http://ads/c/1",
        }
        request.say(200, json.dumps(told).encode())

    with serving(answer) as url:
        yield url, asked


def test_the_first_example_decides(answers):
    """It asks for the lamp, and shows the plain one when nobody answers."""
    url, asked = answers
    names = code_of("Ask the service")
    with Client(url) as client:
        assert names["lamp_of"](client, "u1").creative.id == "sunny"
    assert asked[0]["context"]["product_ids"] == ["lamp-1"]
    with Client("http://127.0.0.1:9") as nobody:
        assert names["lamp_of"](nobody, "u1").creative == names["PLAIN"]


def application(url):
    app = Flask("shop")
    app.config.update(ABP_URL=url, ABP_EXPERIMENT="lamps", TESTING=True)
    app.register_blueprint(code_of("A Flask blueprint")["ads"])
    return app


def test_the_blueprint_shows_counts_and_knows_a_user_again(answers):
    """The page has picture, click and impression; the same visitor is the same unit."""
    url, asked = answers
    app = application(url)
    visitor = app.test_client()
    page = visitor.get("/ad/lamp-1")
    visitor.get("/ad/lamp-1")
    assert 'data-click="http://ads/c/1"' in page.text
    assert '<img src="http://ads/sunny.webp" alt="A &lt;new&gt; lamp">' in page.text
    assert '<img src="http://ads/i/1" width="1"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert asked[0]["unit_id"] == asked[1]["unit_id"]
    assert len(asked[0]["unit_id"]) == 32
    app.extensions["abp"].close()


def test_the_blueprint_works_without_a_service():
    """While nobody answers the page shows the usual picture, and its link leads to the shop."""
    visitor = application("http://127.0.0.1:9").test_client()
    page = visitor.get("/ad/lamp-1")
    assert page.status_code == 200
    assert 'src="/static/lamp-1.webp"' in page.text
    assert '<a href="/shop/lamp-1"' in page.text
    assert "onclick" not in page.text
    assert page.text.count("<img") == 1


def test_the_local_example_knows_the_variant(workspace):
    """It shows the sunny background to units in the treatment only, and to nobody outside."""
    background_of = code_of("Assign in your own process")["background_of"]
    with LocalClient(workspace.root) as local:
        assert background_of(local, "qa-1") == "sunny"
        assert {background_of(local, f"u{n}") for n in range(50)} == {"plain"}  # no member
    with LocalClient(workspace.root / "nothing") as nobody:
        assert background_of(nobody, "qa-1") == "plain"


def test_the_flags_of_the_page_resolve(workspace):
    """A string, a boolean and an object flag of a forced unit are what the table says."""
    names = code_of("OpenFeature")
    flags, someone = names["flags_of"](workspace.root), names["user"]("qa-1", **KNOWN)
    assert flags.get_string_value("lamps", "none", someone) == "generated"
    assert flags.get_boolean_value("lamps", False, someone) is True
    assert flags.get_object_value("lamps", {}, someone)["variant"] == "generated"
    api.shutdown()
    api.clear_providers()
