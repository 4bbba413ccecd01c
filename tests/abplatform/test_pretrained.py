import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from abplatform.checkpoints.carried import CARRIED, carried_file
from abplatform.checkpoints.pretrained import check_folder, find_checkpoint
from abplatform.errors import CheckpointError
from generators.weights import write_weights_manifest


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def folder(tmp_path):
    part = tmp_path / "model" / "unet"
    part.mkdir(parents=True)
    save_file({"weight": np.ones((2, 2), np.float16)}, part / "model.safetensors")
    (part / "config.json").write_text('{"width": 2}')
    return tmp_path / "model"


def test_a_folder_keeps_its_hash_until_a_byte_changes(folder):
    """The hash covers every file of the model, below folders too, and nothing beside it."""
    before = check_folder(folder).sha256
    (folder / "picture.png").write_bytes(b"anything")
    assert check_folder(folder).sha256 == before
    (folder / "unet" / "config.json").write_text('{"width": 3}')
    assert check_folder(folder).sha256 != before


def test_a_pinned_hash_is_asked_for(folder):
    """A checkpoint whose bytes are not the pinned ones is refused with both hashes."""
    sha256 = check_folder(folder).sha256
    assert find_checkpoint(f"{folder}@{sha256}", kind="model").sha256 == sha256
    with pytest.raises(CheckpointError, match=sha256):
        find_checkpoint(f"{folder}@{'0' * 64}", kind="model")


def test_pickled_weights_are_refused_unread(folder, tmp_path):
    """Weights that can run code are refused by name, and nothing of them runs."""
    left = tmp_path / "left behind"
    part = folder / "vae"
    part.mkdir()
    (part / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(left)))
    with pytest.raises(CheckpointError, match=r"vae/pytorch_model.bin is refused"):
        check_folder(folder)
    assert not left.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", json.dumps({"auto_map": {"AutoModel": "modeling.Own"}})),
        ("tokenizer_config.json", json.dumps({"nested": [{"auto_map": {}}]})),
        ("modeling.py", "print('own code')"),
    ],
)
def test_own_code_is_refused(folder, name, text):
    """A checkpoint that asks to run its own Python is refused, wherever it asks."""
    (folder / name).write_text(text)
    with pytest.raises(CheckpointError, match="own Python"):
        check_folder(folder)


def test_a_folder_without_weights_is_refused(tmp_path):
    """A folder that holds no safetensors says what is missing."""
    with pytest.raises(CheckpointError, match="no weights"):
        check_folder(tmp_path)


def test_the_manifest_lists_every_model(folder):
    """The manifest names each folder with the hash that the check finds."""
    listed = write_weights_manifest(folder.parent)
    assert listed == {"model": check_folder(folder).sha256}
    assert json.loads((folder.parent / "manifest.json").read_text()) == listed


@pytest.mark.parametrize("model", sorted(CARRIED))
def test_a_carried_file_is_the_known_one(model):
    """Where a carrier is installed, its file has the hash that is written down."""
    path = carried_file(model)
    if path is None:
        pytest.skip(f"the package that carries {model} is not installed")
    assert path.name == CARRIED[model].path.rsplit("/", 1)[1]
