import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from abplatform.errors import RegistryError, WorkspaceLocked
from abplatform.traffic import journal as journal_module
from abplatform.traffic.journal import GENESIS, Journal

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "data" / "journal")


def write(journal, *actions):
    with journal.pen() as pen:
        for action in actions:
            detail = {"nested": {"b": 1, "a": [0.1, None, "ü"]}}
            pen.append(
                action, at=AT, written_at=AT, who="owner", experiment="beauty", detail=detail
            )


def only_file(journal):
    (path,) = journal.folder.glob("*.jsonl")
    return path


def test_rows_come_back_in_order(journal):
    """What was appended is read back whole, numbered from 1, each row naming the one before."""
    write(journal, "start", "pause")
    write(journal, "stop")
    rows = journal.rows()
    assert [(row.sequence, row.action, row.who, row.at) for row in rows] == [
        (1, "start", "owner", AT),
        (2, "pause", "owner", AT),
        (3, "stop", "owner", AT),
    ]
    assert rows[0].previous_sha256 == GENESIS
    assert [row.previous_sha256 for row in rows[1:]] == [row.sha256 for row in rows[:-1]]
    assert rows[0].detail == {"nested": {"b": 1, "a": [0.1, None, "ü"]}}


def test_no_journal_is_no_row(journal):
    """Before the first decision there is nothing to read and nothing to complain about."""
    assert journal.rows() == []


def change_who(lines):
    lines[1] = lines[1].replace(b'"owner"', b'"intruder"')


def lose_a_row(lines):
    del lines[1]


def swap_rows(lines):
    lines[1], lines[2] = lines[2], lines[1]


def add_space(lines):
    lines[1] = lines[1].replace(b":", b": ", 1)


def write_garbage(lines):
    lines[1] = b"\0\0\0\n"


def repeat_a_row(lines):
    lines.insert(1, lines[0])


def forge_a_row(lines):
    row = json.loads(lines[1])
    row["who"], row["sha256"] = "intruder", "f" * 64
    lines[1] = json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "tamper",
    [change_who, lose_a_row, swap_rows, add_space, write_garbage, repeat_a_row, forge_a_row],
)
def test_broken_chain_is_named(journal, tamper):
    """Whatever is done to a row that is not the last, the file and the line are named."""
    write(journal, "start", "pause", "stop")
    path = only_file(journal)
    lines = path.read_bytes().splitlines(keepends=True)
    tamper(lines)
    path.write_bytes(b"".join(lines))
    with pytest.raises(RegistryError, match="chain is broken") as caught:
        journal.rows()
    assert (caught.value.path, caught.value.line) == (path, 2)
    with pytest.raises(RegistryError, match="chain is broken"):
        write(journal, "more")


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_torn_last_line_is_left_out_and_set_aside(journal, kept):
    """A row cut short by a crash was never acknowledged: it is not read, and the next one fits."""
    write(journal, "start", "pause")
    path = only_file(journal)
    whole, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(whole + last[:kept])
    assert [row.action for row in journal.rows()] == ["start"]
    write(journal, "stop")
    assert [row.action for row in journal.rows()] == ["start", "stop"]
    assert path.with_name(f"{path.name}.torn").read_bytes() == last[:kept] + b"\n"


def test_chain_goes_on_across_files(journal, monkeypatch):
    """When a file is full the next begins, named by its first row; losing one is noticed."""
    monkeypatch.setattr(journal_module, "ROWS_PER_FILE", 2)
    write(journal, *"abcde")
    names = sorted(path.name for path in journal.folder.glob("*.jsonl"))
    assert names == ["000000000001.jsonl", "000000000003.jsonl", "000000000005.jsonl"]
    assert "".join(row.action for row in journal.rows()) == "abcde"
    (journal.folder / names[1]).unlink()
    with pytest.raises(RegistryError, match="row 5 stands where row 3 belongs"):
        journal.rows()


TWENTY = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from abplatform.traffic.journal import Journal
for number in range(20):
    with Journal(Path(sys.argv[1])).pen() as pen:
        at = datetime(2026, 11, 2, tzinfo=UTC)
        name = f"{os.getpid()}-{number}"
        pen.append(name, at=at, written_at=at, who="owner", experiment=None, detail={})
"""


def test_processes_take_turns(journal):
    """Three processes that write at once lose nothing and break nothing."""
    writers = [
        subprocess.Popen([sys.executable, "-c", TWENTY, str(journal.folder)]) for _ in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len({row.action for row in journal.rows()}) == 60


def test_holder_is_waited_for(journal):
    """Whoever cannot write in time is told to wait."""
    with journal.pen(), pytest.raises(WorkspaceLocked, match="writing the journal"):  # noqa: SIM117 -- the second pen is the one that fails
        with journal.pen(wait_seconds=0.05):
            pass


def test_rows_are_synced_before_they_are_acknowledged(journal, monkeypatch):
    """Every append syncs its file, and the first one its folder."""
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd)),
    )
    write(journal, "start")
    assert str(only_file(journal)) in synced
    assert str(journal.folder) in synced
    assert str(journal.folder.parent) in synced


def test_time_without_a_zone_is_refused(journal):
    """A row never holds a moment that depends on the machine's own zone."""
    naive = AT.replace(tzinfo=None)
    with journal.pen() as pen, pytest.raises(ValueError, match="time zone"):
        pen.append("start", at=naive, written_at=AT, who="owner", experiment=None, detail={})
    assert journal.rows() == []
