"""Files that are written whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from abplatform.durable import (
    FAULT,
    append_durably,
    reach,
    replace_durably,
    size_text,
    write_durably,
)


def test_replace_puts_new_content_and_leaves_no_draft(tmp_path):
    """After a replacement there is the new content and nothing else."""
    path = tmp_path / "folder" / "state.json"
    replace_durably(path, b"old")
    replace_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]


def test_failed_replacement_keeps_the_old_content(tmp_path):
    """When writing fails, the old content stands."""
    path = tmp_path / "state.json"
    write_durably(path, b"old")
    with pytest.raises(TypeError):
        replace_durably(path, "not bytes")
    assert path.read_bytes() == b"old"


def test_append_keeps_what_was_there(tmp_path):
    """Appending adds chunks in order at the end."""
    path = tmp_path / "log" / "a.jsonl"
    append_durably(path, [b"1\n", b"2\n"])
    append_durably(path, [b"3\n"])
    assert path.read_bytes() == b"1\n2\n3\n"


@pytest.mark.fault
def test_killed_writer_leaves_old_or_new(tmp_path):
    """A process killed while replacing in a loop leaves one whole version."""
    path = tmp_path / "state"
    code = (
        "import sys; from pathlib import Path; from abplatform.durable import replace_durably\n"
        "path = Path(sys.argv[1])\n"
        "while True:\n"
        "    for letter in (b'a', b'b'):\n"
        "        replace_durably(path, letter * 1_000_000)\n"
        "        print('.', flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(5):
        writer.stdout.read(1)
    writer.kill()
    writer.wait()
    writer.stdout.close()
    content = path.read_bytes()
    assert len(content) == 1_000_000
    assert len(set(content)) == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    ("asked", "passed"), [("b", ["a"]), ("a:2", ["a", "b"]), ("c", list("abab"))]
)
def test_a_named_point_kills_the_process_the_nth_time_it_is_reached(asked, passed):
    """ABPLATFORM_FAULT kills at the point it names, at the n-th time, and nowhere else."""
    program = (
        "from abplatform.durable import reach\n"
        "for point in 'abab':\n"
        "    reach(point)\n"
        "    print(point, flush=True)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, FAULT: asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == passed
    assert ran.returncode == (0 if asked == "c" else -signal.SIGKILL)


def test_no_point_kills_unless_it_is_named(monkeypatch):
    """Without the environment variable, reaching any point does nothing."""
    monkeypatch.delenv(FAULT, raising=False)
    reach("landing.fsync")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.0 MB"), (23e6, "23.0 MB"), (999e6, "999.0 MB"), (1.44e9, "1.4 GB")]
)
def test_small_disks_are_told_in_megabytes(size, text):
    """What is free and what is needed stay two numbers also below a gigabyte."""
    assert size_text(size) == text
