import os
import subprocess
import sys
import time

import pytest

from abplatform.domain.assignment import assign
from abplatform.errors import ServiceError, WorkspaceError
from abplatform.logs.privacy import Pseudonyms
from abplatform.traffic.assignments import assignments_document, entity_tag
from abplatform.traffic.client import LocalClient
from abplatform.traffic.config import build_config
from abplatform.traffic.registry import Registry

WORD = "between-us"
KNOWN = {"country": "DE", "age": 30, "member": True}
UNITS = [f"user-{number}" for number in range(200)]


def until(holds, seconds=5.0):
    """Wait until something holds; whether it did."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


@pytest.fixture
def document(workspace, tmp_path):
    path = tmp_path / "plans.json"
    path.write_bytes(assignments_document(build_config(workspace)))
    return path


def test_it_assigns_as_the_platform_does(workspace):
    """From a workspace's folder every unit gets the variant and reason of `assign`."""
    plan = build_config(workspace).experiments["lamps"].plan
    with LocalClient(workspace.root) as client:
        for context in (KNOWN, {}, None):
            given = [client.assign("lamps", unit, context) for unit in UNITS]
            assert given == [assign(plan, unit, context) for unit in UNITS]
        assert client.assign("lamps", "qa-1", {}).variant == "generated"
        assert client.assign("unknown", "u", {}) is None


def test_a_layer_says_whose_slot_it_is(workspace):
    """In a layer a unit gets the experiment that has its slot, or none."""
    with LocalClient(workspace.root) as client:
        found = [client.assign_in_layer("feed", unit, KNOWN) for unit in UNITS]
        mine = [client.assign("lamps", unit, KNOWN) for unit in UNITS]
        assert found == [("lamps", one) if one.reason != "layer" else None for one in mine]
        assert 0 < found.count(None) < len(UNITS)
        assert client.assign_in_layer("unknown", "u") is None


def test_a_pause_arrives_by_itself(workspace):
    """What changes in the journal is in force after the next refresh."""
    heard = []
    with LocalClient(workspace.root, refresh_seconds=0.02, tell=heard.append) as client:
        assert client.assign("lamps", "qa-1").reason == "forced"
        Registry(workspace).pause("lamps", at=workspace.clock(), who="t")
        assert until(lambda: client.assign("lamps", "qa-1").reason != "forced")
        assert heard == ["changed", "changed"]


def test_what_has_not_changed_is_not_sent_again(document, serving):
    """A service is asked with the tag of what is known, and new plans are taken over."""
    sent = []

    def answer(request):
        content = document.read_bytes()
        known = request.headers["If-None-Match"] == entity_tag(content)
        sent.append((request.path, request.headers["Authorization"], known))
        request.say(304 if known else 200, b"" if known else content, ETag=entity_tag(content))

    with serving(answer) as url, LocalClient(url, token=WORD, refresh_seconds=0.01) as client:
        assert until(lambda: len(sent) > 2)
        assert sent[:3] == [
            ("/v1/assignments", f"Bearer {WORD}", known) for known in (False, True, True)
        ]
        document.write_bytes(document.read_bytes().replace(b'"running":true', b'"running":false'))
        assert until(lambda: client.assign("lamps", "qa-1", KNOWN).reason != "forced")


def test_what_is_known_outlives_its_place(document):
    """While the place does not answer, or with nonsense, the old plans assign and it is told."""
    heard, whole = [], document.read_bytes()
    with LocalClient(document, refresh_seconds=0.01, tell=heard.append) as client:
        before = [client.assign("lamps", unit, KNOWN) for unit in UNITS]
        document.write_bytes(b"<html>")
        assert until(lambda: client.problem is not None)
        assert "JSON is malformed" in client.problem
        assert [client.assign("lamps", unit, KNOWN) for unit in UNITS] == before
        age = client.age_seconds
        assert until(lambda: client.age_seconds > age)
        document.write_bytes(whole)
        assert until(lambda: client.problem is None)
        assert heard == ["changed", "stale", "fresh"]


def test_whoever_listens_ends_no_following(document, caplog):
    """A listener that raises is told in the log, and plans are followed on."""
    heard = []

    def listen(news):
        heard.append(news)
        if len(heard) > 1:
            raise RuntimeError(news)

    with LocalClient(document, refresh_seconds=0.01, tell=listen) as client:
        whole = document.read_bytes()
        document.write_bytes(b"<html>")
        assert until(lambda: client.problem is not None)
        document.write_bytes(whole)
        assert until(lambda: client.problem is None)
        paused = whole.replace(b'"running":true', b'"running":false')
        document.write_bytes(paused)
        assert until(lambda: client.assign("lamps", "qa-1", KNOWN).reason != "forced")
    assert "RuntimeError: stale" in caplog.text


def test_plans_may_come_later(tmp_path, document, caplog):
    """A client whose place is empty at first assigns nobody, and begins by itself."""
    late = tmp_path / "late.json"
    with LocalClient(late, refresh_seconds=0.01) as client:
        assert not client.ready
        assert client.assign("lamps", "qa-1") is None
        assert "late.json: cannot be read" in caplog.text
        document.rename(late)
        assert until(lambda: client.ready)
        assert client.assign("lamps", "qa-1").reason == "forced"
    with pytest.raises(ServiceError, match="cannot be read"):
        LocalClient(tmp_path / "none.json").refresh()


def test_places_that_are_none_are_refused(tmp_path):
    """A folder without a workspace and an address without HTTP are said at once."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkspaceError):
        LocalClient(tmp_path / "empty")
    with pytest.raises(ServiceError, match="is no address"):
        LocalClient("ftp://shop")


FORKING = """
import os, sys, time
from pathlib import Path
from abplatform.traffic.client import LocalClient
path = Path(sys.argv[1])
client = LocalClient(path, refresh_seconds=0.01)
assert client.assign("lamps", "qa-1").reason == "forced"
child = os.fork()
if child == 0:
    client.assign("lamps", "qa-1")
    path.write_bytes(path.read_bytes().replace(b'"running":true', b'"running":false'))
    end = time.monotonic() + 5
    while client.assign("lamps", "qa-1").reason == "forced" and time.monotonic() < end:
        time.sleep(0.01)
    os._exit(client.assign("lamps", "qa-1").reason == "forced")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_worker_follows_too(document):
    """A web server's worker that was forked after the client was made refreshes by itself."""
    run = subprocess.run([sys.executable, "-c", FORKING, document], check=False)
    assert run.returncode == 0


def test_pseudonyms_are_what_is_hashed(workspace, tmp_path):
    """With a workspace's key a unit has the variant of its pseudonym, under its own name."""
    key = tmp_path / "abp.key"
    key.write_text("5e" * 32)
    (tmp_path / "abp.yaml").write_text("privacy: {pseudonyms: {key_file: abp.key}}\n")
    pseudonyms, config = Pseudonyms(key.read_bytes()), build_config(workspace)
    plan = config.experiments["lamps"].plan
    plans = tmp_path / "plans.json"
    plans.write_bytes(assignments_document(config, pseudonyms=pseudonyms.fingerprint))
    raw = [assign(plan, unit, KNOWN).variant for unit in UNITS]
    stored = [assign(plan, pseudonyms.stored(unit), KNOWN).variant for unit in UNITS]
    for place, key_file in ((workspace.root, None), (plans, key)):
        with LocalClient(place, key_file=key_file) as client:
            given = [client.assign("lamps", unit, KNOWN) for unit in UNITS]
        assert [one.unit_id for one in given] == UNITS
        assert [one.variant for one in given] == stored != raw


def test_plans_for_pseudonyms_need_their_key(workspace, tmp_path):
    """Without the key, or with another one, there are no plans rather than wrong ones."""
    right, wrong, plans = tmp_path / "right.key", tmp_path / "wrong.key", tmp_path / "plans.json"
    right.write_text("5e" * 32)
    wrong.write_text("77" * 32)
    named = Pseudonyms(right.read_bytes()).fingerprint
    plans.write_bytes(assignments_document(build_config(workspace), pseudonyms=named))
    for key_file, said in ((None, "no key was given"), (wrong, "this is another key")):
        with LocalClient(plans, key_file=key_file) as client:
            assert client.assign("lamps", "u", KNOWN) is None
            assert said in client.problem
    with pytest.raises(ServiceError, match=r"none\.key: the key of the pseudonyms cannot be read"):
        LocalClient(plans, key_file=tmp_path / "none.key")
