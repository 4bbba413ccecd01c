import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from abplatform.errors import IngestError, MappingError, StoreError
from abplatform.logs.landing import (
    Landing,
    MappingText,
    appending,
    check_bytes,
    land_file,
    sealed_segments,
    sealing,
)


def test_a_sealed_segment_has_its_bytes_and_its_hash(workspace):
    """What was appended is sealed under its source and hour, beside its sha256."""
    with Landing(workspace) as open_landing:
        assert open_landing.append("web", [b"one", b"two"]) == 2
        assert not sealed_segments(workspace)
    (segment,) = sealed_segments(workspace)
    assert segment.path.read_bytes() == b"one\ntwo\n"
    assert segment.sha256 == hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert segment.path.parent == workspace.landing / "sealed" / "web" / "2026-11-22T00"
    command = ["sha256sum", "--check", "--strict", segment.path.name + ".sha256"]
    checked = subprocess.run(
        command, cwd=segment.path.parent, capture_output=True, text=True, check=True
    )
    assert checked.stdout == f"{segment.path.name}: OK\n{segment.path.name}.json: OK\n"
    check_bytes(segment)


def test_appended_lines_are_on_the_disk_before_append_returns(workspace):
    """Another process sees every acknowledged line while the segment is still open."""
    open_landing = Landing(workspace)
    open_landing.append("web", [b"one"])
    (path,) = workspace.landing.glob("open/web/*/*.jsonl")
    assert path.read_bytes() == b"one\n"
    open_landing.seal()


def test_segments_are_numbered_in_the_order_of_sealing(workspace):
    """Numbers rise from one, over all sources."""
    for source in ("web", "app", "web"):
        with Landing(workspace) as open_landing:
            open_landing.append(source, [source.encode()])
    assert [(s.number, s.source) for s in sealed_segments(workspace)] == [
        (1, "web"),
        (2, "app"),
        (3, "web"),
    ]


def test_a_full_segment_is_sealed_and_the_next_one_begun(workspace, monkeypatch):
    """A segment does not grow without bound."""
    monkeypatch.setattr(appending, "SEGMENT_BYTES", 20_000)
    monkeypatch.setattr(appending, "_WRITE_BYTES", 2_000)
    with Landing(workspace) as open_landing:
        open_landing.append("web", [b"x" * 9] * 5000)
    segments = sealed_segments(workspace)
    assert len(segments) == 3
    assert b"".join(s.path.read_bytes() for s in segments) == (b"x" * 9 + b"\n") * 5000


def test_an_open_segment_is_sealed_only_when_its_writer_is_dead(workspace):
    """A live writer keeps its segment; what a killed one acknowledged is sealed by the next."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from abplatform.logs.landing import Landing\n"
        "from abplatform.workspace import Workspace\n"
        "kept = Landing(Workspace(Path(sys.argv[1])))\n"
        "kept.append('web', [b'one', b'two'])\n"
        "print('acknowledged', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(workspace.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"acknowledged\n"
        assert Landing(workspace).seal() == []
        writer.kill()
    (segment,) = Landing(workspace).seal()
    assert segment.path.read_bytes() == b"one\ntwo\n"


def test_an_imported_file_lands_byte_for_byte_once(workspace, tmp_path):
    """The copy is exact, also of bytes that are no text, and a second import finds the first."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\x00\xff no newline at the end")
    segment, is_new = land_file(workspace, file, source="web")
    assert is_new
    assert segment.path.read_bytes() == file.read_bytes()
    assert segment.origin == "log.jsonl"
    again, is_new = land_file(workspace, file, source="other")
    assert (again, is_new) == (segment, False)
    assert sealed_segments(workspace) == [segment]


def test_the_mapping_lands_with_its_file(workspace, tmp_path):
    """The mapping's bytes and settings are kept, and another mapping makes another delivery."""
    file = tmp_path / "log.csv"
    file.write_text("a\n1\n")
    mapping = MappingText(b"event: click\n", {"position": "2"})
    segment, _ = land_file(workspace, file, source="web", mapping=mapping)
    (read,) = sealed_segments(workspace)
    assert read == segment
    assert read.mapping == mapping
    kept = workspace.landing / "mappings" / f"{mapping.sha256}.yaml"
    assert kept.read_bytes() == mapping.content
    other = MappingText(mapping.content, {"position": "3"})
    _, is_new = land_file(workspace, file, source="web", mapping=other)
    assert is_new
    assert len(sealed_segments(workspace)) == 2


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.ndjson", "jsonl"), ("a.CSV", "csv"), ("a.csv.gz", "csv.gz"), ("a.parquet", "parquet")],
)
def test_forms_are_told_by_name(workspace, tmp_path, name, form):
    """A file keeps its form where it lands."""
    file = tmp_path / name
    file.write_bytes(b"x")
    assert land_file(workspace, file, source="web")[0].form == form


def test_unusable_files_are_refused_by_name(workspace, tmp_path):
    """An unknown ending, a missing file, an empty one and a strange source each say what to do."""
    strange, empty = tmp_path / "a.xlsx", tmp_path / "empty.jsonl"
    strange.write_bytes(b"x")
    empty.write_bytes(b"")
    for path, source in [
        (strange, "web"),
        (empty, "web"),
        (tmp_path / "none.jsonl", "web"),
        (empty, "../web"),
    ]:
        with pytest.raises(IngestError) as caught:
            land_file(workspace, path, source=source)
        assert caught.value.remedy
    with pytest.raises(MappingError):
        MappingText.read(tmp_path / "none.yaml")
    assert not sealed_segments(workspace)


def test_damaged_bytes_are_noticed(workspace, tmp_path):
    """A sealed segment that was changed is refused before it is loaded."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"one\n")
    segment, _ = land_file(workspace, file, source="web")
    segment.path.write_bytes(b"two\n")
    with pytest.raises(StoreError, match="sha256"):
        check_bytes(segment)


@pytest.mark.parametrize("ending", ["", ".json", ".sha256"])
def test_a_changed_byte_in_any_of_its_three_files_is_noticed(workspace, tmp_path, ending):
    """The data, what is told of it and the list of hashes: none changes unseen."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"one\n")
    segment, _ = land_file(workspace, file, source="web")
    path = segment.path.with_name(segment.path.name + ending)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(StoreError):
            check_bytes(sealed_segments(workspace)[0])
    path.write_bytes(content)
    check_bytes(sealed_segments(workspace)[0])


def test_a_damaged_mapping_copy_reads_no_log(workspace, tmp_path):
    """A mapping whose bytes are not those of its name is refused, not followed."""
    file = tmp_path / "log.csv"
    file.write_text("a\n1\n")
    mapping = MappingText(b"event: click\n")
    land_file(workspace, file, source="web", mapping=mapping)
    (workspace.landing / "mappings" / f"{mapping.sha256}.yaml").write_bytes(b"event: costs\n")
    with pytest.raises(StoreError, match="sha256 that is its name"):
        sealed_segments(workspace)


def test_numbers_go_on_when_the_counter_is_lost_or_out_of_date(workspace):
    """Without the lock file's number, or with an old one, no number is given twice."""
    for content in (None, b"", b"nonsense", b"000000001\n"):
        with Landing(workspace) as landing:
            landing.append("web", [b"x"])
        if content is not None:
            (workspace.landing / ".lock").write_bytes(content)
    with Landing(workspace) as landing:
        landing.append("web", [b"x"])
    assert [segment.number for segment in sealed_segments(workspace)] == [1, 2, 3, 4, 5]


def test_a_torn_import_is_never_taken_for_a_segment(workspace, tmp_path):
    """A copy that was cut short by a crash stays out of the sealed segments."""
    folder = workspace.landing / "open" / "web" / "2026-11-22T00"
    folder.mkdir(parents=True)
    (folder / f"{'0' * 64}.jsonl.{os.getpid()}.partial").write_bytes(b'{"half')
    assert Landing(workspace).seal() == []
    assert sealed_segments(workspace) == []
    assert not list(folder.iterdir())


def test_hours_are_in_utc(workspace):
    """The folder is the UTC hour, whatever the clock's zone."""
    with Landing(workspace) as open_landing:
        open_landing.append("web", [b"one"])
    (segment,) = sealed_segments(workspace)
    assert segment.landed_at == datetime(2026, 11, 22, tzinfo=UTC)


def test_drafts_of_dead_writers_go_and_those_of_living_ones_stay(workspace):
    """A file that a kill left without its name is removed, unless somebody still holds it."""
    folder = workspace.landing / "open" / "web" / "2026-11-22T00"
    held = sealing.create_held(folder, ".new")
    (folder / "1-0.new").write_bytes(b"")
    Landing(workspace).seal()
    assert [path.name for path in folder.iterdir()] == [Path(held.name).name]
    held.close()
    Landing(workspace).seal()
    assert not list(folder.iterdir())
