"""A damaged warehouse is moved aside and made anew; whatever is damaged, the numbers come back."""

import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from abplatform.cli.analysis import analyze
from abplatform.cli.experiments import history
from abplatform.errors import StoreError, WarehouseDamaged
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Landing, sealed_segments
from abplatform.logs.load import ingest, is_lost
from abplatform.logs.store.warehouse import Warehouse
from abplatform.loop.measure import open_store
from abplatform.traffic.registry import Registry
from abplatform.workspace import Workspace, open_workspace

CLOCK = datetime(2026, 11, 22, tzinfo=UTC)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
FACTS = {
    "beauty": ExperimentFacts(
        "beauty", {"baseline": 50.0, "generated": 50.0}, "baseline", running=((BEGIN, None),)
    )
}


@pytest.fixture(scope="module")
def unclean(tmp_path_factory, driver, make_pieces):
    """A workspace in which a job was killed before it wrote its log into the file."""
    root = tmp_path_factory.mktemp("unclean")
    workspace = Workspace(root / "ws", clock=lambda: CLOCK)
    pieces = list(enumerate(make_pieces(random.Random(7), 20)))
    with driver(workspace, root / "side") as order:
        assert order(pieces=pieces[:10], turn=1)[0] == 0
        assert order(pieces=pieces[10:], turn=2, fault="warehouse.checkpoint")[0] == 9
    return workspace


@pytest.fixture(scope="module")
def files(unclean):
    """The bytes of its file and of its log."""
    log = unclean.warehouse.with_name(unclean.warehouse.name + ".wal")
    return unclean.warehouse.read_bytes(), log.read_bytes()


@pytest.fixture(scope="module")
def truth(unclean, tmp_path_factory, facts_of):
    """What a store says that was never damaged."""
    other = Workspace(tmp_path_factory.mktemp("truth") / "ws", clock=lambda: CLOCK)
    shutil.copytree(unclean.landing, other.landing)
    ingest(other, FACTS)
    return facts_of(other)


@pytest.fixture
def heal(unclean, truth, facts_of):
    """Return ``heal(file, log)`` → how many jobs it took until the store said the truth."""

    def make(file, log):
        for path in unclean.data.glob("warehouse.duckdb*"):
            path.unlink()
        if file is not None:
            unclean.warehouse.write_bytes(file)
        if log is not None:
            unclean.warehouse.with_name(unclean.warehouse.name + ".wal").write_bytes(log)
        for jobs in range(1, 4):
            try:
                ingest(unclean, FACTS)
                rows, ids, conflicts = facts_of(unclean)
            except WarehouseDamaged:
                continue
            assert rows.equals(truth[0])
            assert (ids, conflicts) == truth[1:]
            return jobs
        raise AssertionError

    return make


@pytest.fixture
def chance(request):
    """Other places at each repetition: `make soak` tries hundreds."""
    callspec = getattr(request.node, "callspec", None)
    return random.Random(callspec.params.get("repetition", 0) if callspec else 0)


def flipped(content, place, chance):
    return (
        content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
    )


@pytest.mark.fault
def test_a_log_cut_anywhere_loses_nothing(files, heal, chance):
    """Wherever the log of a killed job ends, the next job brings everything back at once."""
    file, log = files
    assert {heal(file, log[: chance.randrange(len(log))]) for _ in range(5)} == {1}


def test_a_log_that_is_gone_or_stands_alone_loses_nothing(files, heal):
    """Without the log, and without the file that it belongs to, everything comes back."""
    file, log = files
    for one, other in [(file, log), (file, None), (None, log), (None, None), (b"", None)]:
        assert heal(one, other) == 1


@pytest.mark.fault
def test_a_log_with_a_changed_bit_loses_nothing(files, heal, chance):
    """A bit that is wrong anywhere in the log is noticed, and everything comes back at once."""
    file, log = files
    places = [chance.randrange(len(log)) for _ in range(3)]
    assert {heal(file, flipped(log, place, chance)) for place in places} == {1}


@pytest.mark.fault
def test_a_file_with_a_changed_bit_loses_nothing(files, heal, chance):
    """A bit that is wrong anywhere in the file never leads to a wrong number."""
    file, _ = files
    heads = [chance.randrange(3 * 4096) for _ in range(1)]
    places = heads + [chance.randrange(len(file)) for _ in range(4)]
    assert {heal(flipped(file, place, chance), None) for place in places} <= {1, 2}


@pytest.mark.fault
def test_a_file_that_is_cut_or_overwritten_loses_nothing(files, heal, chance):
    """A file that ends early, or holds foreign bytes, is moved aside and made anew."""
    file, _ = files
    place = chance.randrange(len(file))
    assert heal(file[:place], None) <= 2
    assert heal(file[:place] + chance.randbytes(4096) + file[place + 4096 :], None) <= 2
    assert heal(chance.randbytes(len(file)), None) == 1


def test_what_is_damaged_is_kept_byte_for_byte(unclean, files):
    """The damaged file and its log stand aside under the job's time, and the receipt names them."""
    file, log = files
    for path in unclean.data.glob("warehouse.duckdb*"):
        path.unlink()
    wal = unclean.warehouse.with_name(unclean.warehouse.name + ".wal")
    unclean.warehouse.write_bytes(file[:4096] + bytes(4096) + file[8192:])
    damaged = unclean.warehouse.read_bytes()
    wal.write_bytes(log)
    aside = unclean.data / Path(ingest(unclean, FACTS).moved_aside).name
    assert aside.name == "warehouse.duckdb.aside-20261122T000000-1"
    assert aside.read_bytes() == damaged
    assert aside.with_name(aside.name + ".wal").read_bytes() == log


def test_damage_found_in_mid_job_is_told_and_healed_by_the_next(unclean, heal, files):
    """A block that only a later question reads raises one clear error, and marks the file."""
    heal(files[0], files[1])
    content = unclean.warehouse.read_bytes()
    with unclean.lock("test"), pytest.raises(WarehouseDamaged) as caught:  # noqa: PT012 -- any of them
        for place in range(3 * 4096 + 9000, len(content), 256 * 1024):
            unclean.warehouse.write_bytes(flipped(content, place, random.Random(place)))
            with Warehouse.open(unclean) as warehouse:
                if warehouse.moved_aside is None:
                    warehouse.query("load/segments")
                    warehouse._connection.sql("SELECT hash(i) FROM impressions AS i").fetchall()
    assert "made anew" in caught.value.remedy
    assert unclean.warehouse.with_name("warehouse.duckdb.damaged").exists()
    assert ingest(unclean, FACTS).moved_aside is not None


def test_errors_of_our_own_queries_condemn_no_file(unclean, heal, files):
    """A wrong query is a mistake of ours: it is raised as it is, and the file stays."""
    import duckdb

    heal(*files)
    with (
        unclean.lock("test"),
        pytest.raises(duckdb.CatalogException),
        Warehouse.open(unclean) as warehouse,
    ):
        warehouse._connection.execute("SELECT * FROM nonsense")
    assert ingest(unclean, FACTS).moved_aside is None


def test_a_job_that_needs_more_memory_or_disk_says_so(unclean, heal, files):
    """Running out of memory and of disk is no damage: the error names the setting or the disk."""
    heal(*files)
    text = (
        "SET memory_limit = '24MiB'; SET max_temp_directory_size = '1MiB'; "
        "SELECT count(DISTINCT hash(range)) FROM range(5000000)"
    )
    with (
        unclean.lock("test"),
        pytest.raises(StoreError) as caught,
        Warehouse.open(unclean) as warehouse,
    ):
        warehouse._connection.execute(text)
    assert not isinstance(caught.value, WarehouseDamaged)
    assert caught.value.remedy
    assert ingest(unclean, FACTS).moved_aside is None
    assert not (unclean.data / ".spill").exists() or not any((unclean.data / ".spill").iterdir())


def test_a_torn_last_line_is_one_reject_and_harms_no_other(tmp_path, make_pieces):
    """What a dead writer was writing is quarantined; the lines that it acknowledged all count."""
    workspace = Workspace(tmp_path / "ws", clock=lambda: CLOCK)
    whole = [make_pieces(random.Random(7), 1)[0][0].encode()]
    folder = workspace.landing / "open" / "web" / "2026-11-22T00"
    folder.mkdir(parents=True)
    (folder / "1-0.jsonl").write_bytes(whole[0] + b"\n" + whole[0][:40])
    receipt = ingest(workspace, FACTS)
    assert receipt.counts.accepted == 1
    assert receipt.counts.quarantined == 1
    assert len(receipt.reasons) == 1


def test_a_store_that_was_lost_is_not_taken_for_an_empty_one(tmp_path, driver, make_pieces):
    """A step of the week that comes after the loss first makes the store anew from the landing."""
    workspace = Workspace(tmp_path / "ws", clock=lambda: CLOCK)
    assert not is_lost(workspace, "test")
    pieces = list(enumerate(make_pieces(random.Random(7), 5)))
    with driver(workspace, tmp_path / "side") as order:
        assert order(pieces=pieces, turn=1)[0] == 0
    with open_store(workspace, "test") as warehouse:
        before = warehouse.query("load/ledger")
    assert len(before)
    workspace.warehouse.unlink()
    assert is_lost(workspace, "test")
    with open_store(workspace, "test") as warehouse:
        assert warehouse.query("load/segments").height == 1
    assert not is_lost(workspace, "test")


SPEC = """\
key: lamps
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated: {weight: 50, creatives: {source: generated, generator: caig}}
metrics: {primary: {metric: ctr, mde: 3%}}
"""


def test_scorecard_looks_and_journal_outlive_the_warehouse(tmp_path):
    """After the file is damaged or gone, a question has the same answer and spends no look."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "lamps.yaml").write_text(SPEC)
    workspace = open_workspace(tmp_path)
    start = datetime(2026, 9, 1, tzinfo=UTC)
    Registry(workspace).start("lamps", at=start, who="growth")
    chance = random.Random(4)
    with Landing(workspace) as landing:
        for user in range(400):
            event = {
                "schema": 1,
                "event_type": "impression",
                "event_id": f"i{user}",
                "ts": (start + timedelta(hours=user % 50)).isoformat(),
                "experiment": "lamps",
                "variant": ("baseline", "generated")[user % 2],
                "unit_id": f"u{user}",
                "creative_id": "c",
                "product_id": "p",
                "category": "home/lamp",
            }
            click = {name: event[name] for name in ("schema", "ts")} | {
                "event_type": "click",
                "event_id": f"k{user}",
                "impression_id": f"i{user}",
            }
            lines = [event, click] if chance.random() < 0.2 else [event]
            landing.append("app", [json.dumps(line).encode() for line in lines])
    answers = [ask(tmp_path)]
    whole = workspace.warehouse.read_bytes()
    for damage in (flipped(whole, 5000, chance), None):
        workspace.warehouse.unlink()
        if damage is not None:
            workspace.warehouse.write_bytes(damage)
        answers.append(ask(tmp_path))
    assert all(answer == answers[0] for answer in answers)
    assert len(sealed_segments(workspace)) == 1


def ask(folder):
    """What analyze and history print, but for the moment of asking."""
    told = []
    for command, key in ((analyze, "lamps"), (history, "lamps")):
        result = CliRunner().invoke(command, [key, "--json", "-w", str(folder)])
        assert result.exit_code == 0, result.output
        told.append(json.loads(result.output))
    told[0].pop("as_of", None)
    return told
