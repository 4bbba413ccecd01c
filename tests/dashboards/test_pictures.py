"""Thumbnails: small, from the workspace only, never an error."""

import base64
import io

import pytest
from PIL import Image

from dashboards.pictures import THUMBNAIL_PX, thumbnail


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("size", [(1024, 512), (40, 40)])
def test_a_thumbnail_keeps_its_proportions(tmp_path, size):
    """A large picture shrinks to the longest side allowed, a small one keeps its size."""
    Image.new("RGBA", size, "#c2334d").save(tmp_path / "a.webp", lossless=True)
    small = opened(thumbnail(tmp_path, "a.webp"))
    scale = min(1, THUMBNAIL_PX / max(size))
    assert small.size == tuple(round(side * scale) for side in size)


def test_nothing_outside_the_workspace_is_read(tmp_path):
    """A path that leads out of the workspace, by dots, by link or from the root, gives nothing."""
    root = tmp_path / "workspace"
    root.mkdir()
    outside = tmp_path / "secret.webp"
    Image.new("RGB", (4, 4)).save(outside)
    (root / "link.webp").symlink_to(outside)
    for path in ("../secret.webp", str(outside), "link.webp"):
        assert thumbnail(root, path) is None


def test_a_missing_or_unreadable_picture_is_none(tmp_path):
    """No path, no file, a folder and a file that is no picture all give nothing."""
    (tmp_path / "text.webp").write_text("no picture")
    for path in (None, "gone.webp", ".", "text.webp"):
        assert thumbnail(tmp_path, path) is None


def test_a_replaced_picture_is_read_again(tmp_path):
    """A file that changes is shown as it is now, not as it was."""
    for colour in ("#ff0000", "#0000ff"):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "a.png")
        shown = opened(thumbnail(tmp_path, "a.png")).convert("RGB").getpixel((4, 4))
        assert max(shown) == shown[0 if colour == "#ff0000" else 2]
