"""Small pictures are kept, and never believed without a check."""

import numpy as np
import pytest

from abplatform.errors import TrainingError
from reward.dataset import read_pairs
from reward.pictures import pictures_of, read_pictures
from reward.thumbnails import keep_thumbnail, read_thumbnail


def test_kept_pictures_are_those_that_were_read(drawn, tmp_path):
    """With a cache, empty or full, pictures are the same bytes as without."""
    table = read_pairs(drawn.pairs)
    plain = pictures_of(table, drawn.images, size=32)
    for _ in range(2):
        cached = pictures_of(table, drawn.images, size=32, thumbnails=tmp_path)
        np.testing.assert_array_equal(cached, plain)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == len(table.items)
    other = pictures_of(table, drawn.images, size=16, thumbnails=tmp_path)
    assert other.shape[1:] == (16, 16, 3)


def test_a_full_cache_reads_no_picture(drawn, tmp_path):
    """What is kept is not decoded again: a picture that was damaged since is not looked at."""
    name = read_pairs(drawn.pairs).items[0].image
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / f"{name}.png").write_bytes((drawn.images / f"{name}.png").read_bytes())
    first = read_pictures(folder, [name], size=32, thumbnails=tmp_path / "kept")
    (folder / f"{name}.png").write_bytes(b"no picture")
    again = read_pictures(folder, [name], size=32, thumbnails=tmp_path / "kept")
    np.testing.assert_array_equal(again, first)
    with pytest.raises(TrainingError, match="not those its name stands for"):
        read_pictures(folder, [name], size=32)


@pytest.mark.parametrize("damage", ["cut", "turned", "empty"])
def test_a_damaged_thumbnail_is_made_anew(tmp_path, damage):
    """A file that is cut short or changed counts as none."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    keep_thumbnail(tmp_path, "ab" * 32, pixels)
    np.testing.assert_array_equal(read_thumbnail(tmp_path, "ab" * 32, size=8), pixels)
    (path,) = (one for one in tmp_path.rglob("*") if one.is_file())
    data = path.read_bytes()
    changes = {"cut": data[:-20], "turned": bytes([data[0] ^ 1]) + data[1:], "empty": b""}
    path.write_bytes(changes[damage])
    assert read_thumbnail(tmp_path, "ab" * 32, size=8) is None
    keep_thumbnail(tmp_path, "ab" * 32, pixels)
    np.testing.assert_array_equal(read_thumbnail(tmp_path, "ab" * 32, size=8), pixels)


def test_what_was_never_kept_is_nothing(tmp_path):
    assert read_thumbnail(tmp_path, "cd" * 32, size=8) is None
