"""``abp doctor`` names what is wrong, and what to do, and changes nothing."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from abplatform.cli.doctor import doctor
from abplatform.cli.logs import ingest
from abplatform.logs.landing import Landing, sealed_segments
from abplatform.logs.store.published import TABLES, publish_tables
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

SPEC = """\
key: lamps
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated: {weight: 50, creatives: {source: generated, generator: caig}}
metrics: {primary: ctr}
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A workspace with an experiment, two sealed segments, a warehouse and published tables."""
    root = tmp_path_factory.mktemp("sound")
    (root / "abp.yaml").write_text("min_free: 0.1%\n")
    (root / "experiments").mkdir()
    (root / "experiments" / "lamps.yaml").write_text(SPEC)
    workspace = open_workspace(root)
    Registry(workspace).start("lamps", at=workspace.clock(), who="growth")
    for number in range(2):
        with Landing(workspace) as landing:
            landing.append("web", [impression(number)])
    run(ingest, root)
    frames = {name: schema.to_frame() for name, schema in TABLES.items()}
    publish_tables(workspace.published, frames, clock=workspace.clock)
    return root


@pytest.fixture
def shop(sound, tmp_path):
    """A copy of it, to damage."""
    shutil.copytree(sound, tmp_path / "shop")
    return open_workspace(tmp_path / "shop")


def impression(number):
    event = {
        "schema": 1,
        "event_type": "impression",
        "event_id": f"i{number}",
        "ts": "2026-11-02T12:00:00Z",
        "unit_id": "u1",
        "creative_id": "c1",
        "product_id": "p1",
        "category": "beauty/lip",
        "experiment": "lamps",
        "variant": "generated",
    }
    return json.dumps(event).encode()


def run(command, folder, *args):
    return CliRunner().invoke(command, ["-w", str(folder), "--json", *args])


def examine(workspace):
    """What doctor finds, by check, worst first; and that looking changes no byte."""
    before = contents(workspace)
    result = run(doctor, workspace.root)
    assert contents(workspace) == before
    told = json.loads(result.output)
    assert result.exit_code == (1 if told["status"] == "fail" else 0)
    found = {}
    for one in told["findings"]:
        if one["check"] not in found or one["status"] != "ok":
            found[one["check"]] = one
        assert (one["remedy"] is None) == (one["status"] == "ok")
    return found, told["status"]


def contents(workspace):
    paths = [path for path in workspace.data.rglob("*") if path.is_file()]
    kept = [path for path in paths if path.name != ".lock" and ".damaged" not in path.name]
    return {path: path.read_bytes() for path in kept}


def test_a_sound_workspace_has_nothing_to_complain_of(shop):
    """Every check is there, every one is ok, and the exit is 0."""
    found, status = examine(shop)
    assert status == "ok"
    assert set(found) >= {
        "space",
        "journal",
        "edits",
        "segments",
        "open",
        "warehouse",
        "identities",
        "ledger",
        "published",
    }


def test_a_person_reads_a_line_a_check(shop):
    """On a terminal each check is a line with its status first."""
    result = CliRunner().invoke(doctor, ["-w", str(shop.root)])
    assert result.exit_code == 0
    assert all(line.startswith("ok  ") for line in result.output.splitlines())


def flip(path, place=0):
    content = path.read_bytes()
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def append(path, content):
    path.write_bytes(path.read_bytes() + content)


def segment(shop):
    return sealed_segments(shop)[0].path


def rewrite(shop, before, first, second):
    """Write another spec: the first place has one new text, all others have the second."""
    path = shop.root / "experiments" / "lamps.yaml"
    head, tail = path.read_text().split(before, 1)
    path.write_text(head + first + tail.replace(before, second))


DAMAGE = {
    "a sealed byte": (lambda shop: flip(segment(shop), 5), "segments", "fail"),
    "a side file": (
        lambda shop: segment(shop).with_name(segment(shop).name + ".json").write_text("{"),
        "segments",
        "fail",
    ),
    "a hash file that is gone": (
        lambda shop: segment(shop).with_name(segment(shop).name + ".sha256").unlink(),
        "segments",
        "warn",
    ),
    "a segment that is gone": (lambda shop: segment(shop).unlink(), "ledger", "fail"),
    "a side file without data": (
        lambda shop: segment(shop).with_name("000000009-0123.jsonl.json").write_text("{}"),
        "side_files",
        "warn",
    ),
    "a number given twice": (
        lambda shop: segment(shop).with_name("000000002-0123.jsonl").write_text("x"),
        "numbers",
        "fail",
    ),
    "the journal": (
        lambda shop: flip(next(shop.journal.glob("*.jsonl")), 40),
        "journal",
        "fail",
    ),
    "a kept spec": (lambda shop: flip(next(shop.specs.glob("*.yaml"))), "specs", "fail"),
    "a kept spec that is gone": (
        lambda shop: next(shop.specs.glob("*.yaml")).unlink(),
        "specs",
        "fail",
    ),
    "the warehouse's head": (lambda shop: flip(shop.warehouse, 5000), "warehouse", "fail"),
    "the warehouse's middle": (
        lambda shop: flip(shop.warehouse, 3 * 4096 + 20),
        "warehouse",
        "fail",
    ),
    "a published table": (
        lambda shop: flip(shop.published / "v1" / "lifts.parquet"),
        "published",
        "fail",
    ),
    "a published table that is gone": (
        lambda shop: (shop.published / "v1" / "lifts.parquet").unlink(),
        "published",
        "fail",
    ),
    "what was moved aside": (
        lambda shop: shop.warehouse.with_name(shop.warehouse.name + ".aside-1-1").touch(),
        "aside",
        "warn",
    ),
    "no warehouse": (lambda shop: shop.warehouse.unlink(), "warehouse", "warn"),
    "an edit that waits for a phase": (
        lambda shop: rewrite(shop, "weight: 50", "weight: 60", "weight: 40"),
        "edits",
        "warn",
    ),
    "a spec that cannot be read": (
        lambda shop: rewrite(shop, "key: lamps", "key: lamps\nkeys: [", "keys: ["),
        "edits",
        "warn",
    ),
    "a torn ingest": (
        lambda shop: append(shop.landing / "ingests.jsonl", b'{"at'),
        "ingests",
        "warn",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_each_damage_is_named_with_its_remedy(shop, what):
    """Whatever is damaged or lost, the check that it belongs to says so, and what to do."""
    harm, check, status = DAMAGE[what]
    harm(shop)
    found, worst = examine(shop)
    assert found[check]["status"] == status
    assert worst == status


KILLED = """
import json, os, signal, sys
from abplatform.logs.landing import Landing
from abplatform.workspace import open_workspace
landing = Landing(open_workspace(sys.argv[1]))
landing.append("web", [sys.argv[2].encode()])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_doctor_warns_and_ingest_mends(shop):
    """A killed writer's segment is a warning that `abp ingest` takes away."""
    command = [sys.executable, "-c", KILLED, str(shop.root), impression(9).decode()]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    found, worst = examine(shop)
    assert (worst, found["open"]["status"]) == ("warn", "warn")
    assert "abp ingest" in found["open"]["remedy"]
    assert run(ingest, shop.root).exit_code == 0
    assert examine(shop)[1] == "ok"


def test_what_waits_to_be_loaded_is_a_warning(shop):
    """Sealed segments that no ingest has loaded are counted."""
    with Landing(shop) as landing:
        landing.append("web", [b"{}"])
    found, worst = examine(shop)
    assert worst == "warn"
    assert found["ledger"]["message"].startswith("sealed, but not loaded: 1")


def test_a_full_disk_fails_the_check(shop):
    """Too little space is a failure, because nothing more is taken in."""
    (shop.root / "abp.yaml").write_text("min_free: 90%\n")
    found, worst = examine(open_workspace(shop.root))
    assert worst == "fail"
    assert found["space"]["status"] == "fail"


def test_damage_that_doctor_found_is_mended_by_the_next_ingest(shop):
    """Damage in a block that no ingest would have read is marked by the look at it."""
    whole = shop.warehouse.read_bytes()
    for place in range(len(whole) - 200_000, 3 * 4096, -50_000):
        shop.warehouse.write_bytes(whole)
        flip(shop.warehouse, place)
        if examine(shop)[1] == "fail":
            break
    assert run(ingest, shop.root).exit_code == 0
    found, worst = examine(shop)
    assert worst == "warn"
    assert found["aside"]["status"] == "warn"
