import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from abplatform.errors import CatalogueError
from generators.families import FAMILIES, draw_scene
from generators.renderers.find import find_renderer
from generators.renderers.photos import open_photos
from generators.scene import Scene

BACKGROUNDS = Path(__file__).parents[3] / "shared/data/backgrounds"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A restless picture, a calm one that is bright on the left, and what is no background."""
    folder = tmp_path_factory.mktemp("backgrounds")
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((600, 400), Image.Resampling.NEAREST).save(folder / "Crowd.png")
    slope = np.linspace(230, 120, 600)[None, :, None].repeat(400, 0).repeat(3, 2)
    Image.fromarray(slope.astype(np.uint8)).save(folder / "misty_Sea.jpg", quality=95)
    Image.fromarray(noise).save(folder / "small.png")
    (folder / "broken.jpg").write_bytes((folder / "misty_Sea.jpg").read_bytes()[:900])
    (folder / "notes.txt").write_text("not a picture", encoding="utf-8")
    return folder


def assert_sacred(rendered):
    place, cutout = rendered.placement, rendered.cutout
    shown = rendered.pixels[place.y : place.y + place.height, place.x : place.x + place.width]
    solid = cutout[..., 3] == 255
    assert solid.mean() > 0.1
    assert np.array_equal(shown[solid], cutout[..., :3][solid])


@pytest.mark.parametrize("size", [(160, 160), (128, 160), (160, 90), (90, 160)])
def test_product_pixels_are_sacred_before_photographs(size, folder, ready):
    """At every size the product is whole, untouched and clear of the border by 8 %."""
    photos = open_photos(folder)
    for seed, scene in enumerate([Scene(), Scene(props="steps"), Scene(backdrop="overhead")]):
        rendered = photos.render(ready[seed], scene, seed=seed, size=size)
        assert rendered.pixels.shape == (size[1], size[0], 3)
        assert_sacred(rendered)
        place = rendered.placement
        assert min(place.x / size[0], place.y / size[1]) >= 0.08
        assert max((place.x + place.width) / size[0], (place.y + place.height) / size[1]) <= 0.92


def test_only_pictures_that_can_be_backgrounds_are_taken(folder):
    """Broken files, small ones and other files are left out."""
    names = [photograph.path.name for photograph in open_photos(folder).photographs]
    assert names == ["Crowd.png", "misty_Sea.jpg"]


def test_a_seed_draws_the_same_photograph_again(folder, ready):
    """Pixels depend on product, scene, seed and the files only, also in another process."""
    photos = open_photos(folder)
    sent = pickle.dumps(find_renderer(f"photos:{folder}"))
    again = pickle.loads(sent)  # noqa: S301 - what the line above wrote
    first, other = (photos.render(ready[0], seed=seed, size=(128, 128)) for seed in (4, 9))
    assert np.array_equal(first.pixels, again.render(ready[0], seed=4, size=(128, 128)).pixels)
    assert not np.array_equal(first.pixels, other.pixels)
    assert photos.checkpoints == again.checkpoints


def test_a_scene_names_the_photograph_it_wants(folder):
    """A file's name says what it shows: a sea is mostly the photograph called so."""
    photos = open_photos(folder)
    chosen = [
        photos._choose(Scene(backdrop="sea"), np.random.default_rng(seed)).path.name
        for seed in range(40)
    ]
    assert chosen.count("misty_Sea.jpg") >= 30


def test_light_comes_from_the_photograph_s_bright_side(tmp_path, folder, ready):
    """A scene lit from the right, before a photograph that is bright on the left, is turned."""
    (tmp_path / "sea.jpg").write_bytes((folder / "misty_Sea.jpg").read_bytes())
    with Image.open(folder / "misty_Sea.jpg") as image:
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    (tmp_path / "turned").mkdir()
    mirrored.save(tmp_path / "turned/sea.jpg", quality=95)
    cutout = np.zeros((60, 30, 4), np.uint8)
    cutout[..., 3] = 255
    post = type(ready[0])(ready[0].product, cutout, "0" * 64)
    leaning = []
    for place in (tmp_path, tmp_path / "turned"):
        scene = Scene(light="golden right")
        picture = open_photos(place).render(post, scene, seed=1, size=(256, 256))
        leaning.append(_lean(picture))
    assert leaning[0] > 0.01
    assert leaning[1] < -0.01


def _lean(rendered):
    """How much darker the ground is to the right of a product than to its left, without slope."""
    place = rendered.placement
    grey = rendered.pixels.mean(axis=2) / 255.0
    rows = slice(place.y + place.height - 26, place.y + place.height - 6)
    near = slice(place.x + place.width + 4, place.x + place.width + 24)
    left = slice(place.x - 24, place.x - 4)
    above = slice(place.y + 2, place.y + 22)
    right_drop = grey[above, near].mean() - grey[rows, near].mean()
    left_drop = grey[above, left].mean() - grey[rows, left].mean()
    return right_drop - left_drop


def test_a_photograph_that_changes_is_refused(tmp_path, folder, ready):
    """A run never mixes two versions of one file."""
    (tmp_path / "sea.jpg").write_bytes((folder / "misty_Sea.jpg").read_bytes())
    photos = open_photos(tmp_path)
    (tmp_path / "sea.jpg").write_bytes((folder / "Crowd.png").read_bytes())
    with pytest.raises(CatalogueError, match="changed or went away"):
        photos.render(ready[0], seed=1, size=(96, 96))


@pytest.mark.parametrize("words", ["photos:", "photos:/nowhere/at/all"])
def test_a_folder_that_is_missing_says_how_to_name_one(words):
    """The message shows the form of the name."""
    with pytest.raises(CatalogueError, match="photos:FOLDER"):
        find_renderer(words)


def test_a_folder_without_pictures_is_refused(tmp_path):
    """An empty folder is told apart from a missing one."""
    with pytest.raises(CatalogueError, match="no picture in"):
        find_renderer(f"photos:{tmp_path}")


def test_real_photographs_stay_behind_the_product(tmp_path, ready):
    """Sacred pixels hold before real photographs, too."""
    if not BACKGROUNDS.is_dir():
        pytest.skip("the background photographs are not on this machine")
    for path in sorted(BACKGROUNDS.glob("*.jpg"))[::9]:
        (tmp_path / path.name).symlink_to(path)
    photos = find_renderer(f"photos:{tmp_path}")
    assert len(photos.photographs) >= 6
    for seed, family in enumerate(list(FAMILIES.values())[::6]):
        scene = draw_scene(family, np.random.default_rng(seed))
        assert_sacred(photos.render(ready[seed % len(ready)], scene, seed=seed, size=(192, 192)))
