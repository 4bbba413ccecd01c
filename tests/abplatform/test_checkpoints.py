import json
import pickle
import subprocess
import sys
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from safetensors.numpy import save_file

from abplatform import checkpoints
from abplatform.checkpoints import load_checkpoint, promote, rollback, save_checkpoint
from abplatform.errors import CheckpointError

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "checkpoints"


def save(root, tmp_path, value, *, kind="reward", at=NOW, metadata=None):
    folder = tmp_path / f"made-{kind}-{value}"
    folder.mkdir(exist_ok=True)
    save_file({"w": np.full(8, value, dtype=np.float32)}, folder / "model.safetensors")
    told = {"pairs": 10} if metadata is None else metadata
    return save_checkpoint(root, folder, kind=kind, metadata=told, created_at=at)


def test_name_is_content(root, tmp_path):
    """The same weights and facts have the same name, whenever they are saved."""
    first = save(root, tmp_path, 1)
    again = save(root, tmp_path, 1, at=LATER)
    other = save(root, tmp_path, 2)
    assert first.sha256 == again.sha256 != other.sha256
    assert again.created_at == NOW.isoformat()
    assert save(root, tmp_path, 1, metadata={"pairs": 11}).sha256 != first.sha256


def test_stored_bytes_are_the_saved_bytes(root, tmp_path):
    """A stored weight file is byte for byte the one that was handed in."""
    checkpoint = save(root, tmp_path, 3)
    made = tmp_path / "made-reward-3" / "model.safetensors"
    assert checkpoint.file("model.safetensors").read_bytes() == made.read_bytes()


@pytest.mark.parametrize("place", [0, 9, -1])
def test_any_flipped_byte_is_refused(root, tmp_path, place):
    """One changed byte anywhere in the weights makes the version unusable, with a remedy."""
    checkpoint = save(root, tmp_path, 1)
    path = checkpoint.folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"corrupt.*rollback") as caught:
        load_checkpoint(root, checkpoint.sha256, kind="reward")
    assert caught.value.path == checkpoint.folder


def test_changed_facts_are_refused(root, tmp_path):
    """Metadata belongs to the version: a changed manifest is noticed."""
    checkpoint = save(root, tmp_path, 1)
    path = checkpoint.folder / checkpoints.MANIFEST
    path.write_text(path.read_text().replace('"pairs": 10', '"pairs": 99'))
    with pytest.raises(CheckpointError, match="changed after"):
        load_checkpoint(root, checkpoint.sha256, kind="reward")


def test_renamed_folder_is_foreign(root, tmp_path):
    """A whole version under another version's name is refused."""
    first, second = save(root, tmp_path, 1), save(root, tmp_path, 2)
    for path in first.folder.iterdir():
        path.write_bytes((second.folder / path.name).read_bytes())
    with pytest.raises(CheckpointError, match="foreign"):
        load_checkpoint(root, first.sha256, kind="reward")


def test_missing_and_extra_files_are_refused(root, tmp_path):
    """A version has exactly its files: one less or one more is an error that names it."""
    checkpoint = save(root, tmp_path, 1)
    extra = checkpoint.folder / "notes.txt"
    extra.write_text("hello")
    with pytest.raises(CheckpointError, match=r"notes\.txt is foreign"):
        load_checkpoint(root, checkpoint.sha256, kind="reward")
    extra.unlink()
    (checkpoint.folder / "model.safetensors").rename(checkpoint.folder / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        load_checkpoint(root, checkpoint.sha256, kind="reward")


@pytest.mark.parametrize("name", ["model.pt", "model.bin", "model.ckpt", "model.safetensors"])
def test_pickles_are_refused(root, tmp_path, name):
    """Pickled weights are refused, also under the name of safetensors."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps({"w": [1.0]}))
    with pytest.raises(CheckpointError, match="safetensors"):
        save_checkpoint(root, folder, kind="reward", metadata={}, created_at=NOW)
    assert checkpoints.list_checkpoints(root) == []


def test_unknown_short_and_wrong_kind(root, tmp_path):
    """A version is found by alias, name or a unique beginning, and only as its own kind."""
    checkpoint = save(root, tmp_path, 1)
    found = load_checkpoint(root, checkpoint.sha256[:8], kind="reward")
    assert found.sha256 == checkpoint.sha256
    for ref in ("champion", "abc", "f" * 64):
        with pytest.raises(CheckpointError, match="abp reward list"):
            load_checkpoint(root, ref, kind="reward")
    with pytest.raises(CheckpointError, match="abp creatives learn"):
        load_checkpoint(root, "champion", kind="inspector")
    with pytest.raises(CheckpointError, match="generator checkpoint is needed"):
        load_checkpoint(root, checkpoint.sha256, kind="generator")


def test_promote_and_rollback(root, tmp_path):
    """Promotion moves the champion to previous; rollback brings it back, once."""
    first, second = save(root, tmp_path, 1), save(root, tmp_path, 2)
    checkpoints.nominate(root, "reward", first.sha256)
    promote(root, "reward", first.sha256, at=NOW)
    assert checkpoints.aliases(root) == {"reward": {"champion": first.sha256}}
    promote(root, "reward", second.sha256, at=LATER)
    promote(root, "reward", second.sha256, at=LATER)
    named = checkpoints.aliases(root)["reward"]
    assert named == {"champion": second.sha256, "previous": first.sha256}
    assert rollback(root, "reward", at=LATER).sha256 == first.sha256
    assert checkpoints.aliases(root)["reward"] == {"champion": first.sha256}
    with pytest.raises(CheckpointError, match="no previous"):
        rollback(root, "reward")
    history = [json.loads(line) for line in (root / "HISTORY.jsonl").read_text().splitlines()]
    assert [row["action"] for row in history] == ["promote", "promote", "rollback"]


def test_a_corrupt_version_is_never_promoted(root, tmp_path):
    """Promoting or rolling back to a damaged version is refused and the champion stays."""
    first, second = save(root, tmp_path, 1), save(root, tmp_path, 2)
    promote(root, "reward", first.sha256, at=NOW)
    (second.folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError):
        promote(root, "reward", second.sha256, at=LATER)
    assert checkpoints.aliases(root)["reward"]["champion"] == first.sha256
    assert [one.sha256 for one in checkpoints.list_checkpoints(root)] == [first.sha256]
    assert save(root, tmp_path, 2).sha256 == second.sha256, "saving again heals the copy"


def test_kinds_have_their_own_aliases(root, tmp_path):
    """The champion of one kind says nothing about another kind."""
    ours = save(root, tmp_path, 1)
    theirs = save(root, tmp_path, 1, kind="generator")
    promote(root, "reward", ours.sha256, at=NOW)
    promote(root, "generator", theirs.sha256, at=NOW)
    named = checkpoints.aliases(root)
    assert named["reward"]["champion"] == ours.sha256 != named["generator"]["champion"]


def test_aliases_are_swapped_whole(root, tmp_path):
    """Whoever reads the aliases during promotions sees one of the versions, never half a file."""
    names = [save(root, tmp_path, value).sha256 for value in (1, 2)]
    promote(root, "reward", names[0], at=NOW)
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(checkpoints.aliases(root)["reward"]["champion"])

    reader = threading.Thread(target=watch)
    reader.start()
    for turn in range(40):
        promote(root, "reward", names[turn % 2], at=NOW)
    stop.set()
    reader.join()
    assert seen <= set(names)


def test_damaged_aliases_say_what_to_do(root, tmp_path):
    """An unreadable ALIASES.json is an error with a remedy, not an empty table."""
    save(root, tmp_path, 1)
    (root / "ALIASES.json").write_text("{")
    with pytest.raises(CheckpointError, match="abp reward promote"):
        load_checkpoint(root, "champion", kind="reward")


def test_no_torch_is_needed():
    """Choosing a model loads no model library."""
    code = "import sys, abplatform.checkpoints; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
