"""Real photographs as backgrounds: the product stands before them, or on their calm ground."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from abplatform.errors import CatalogueError
from generators.arrays import Pixels, Plane, blur, ramp, rgb_to_lab, to_bytes
from generators.intake import ReadyProduct
from generators.renderers.lighting import light_field
from generators.renderers.palettes import PALETTES, tone
from generators.renderers.placing import SQUARE, Rendered, Renderer, Size, open_window
from generators.renderers.stage import Light, Stage, set_stage
from generators.renderers.studio import furnish, light_set
from generators.scene import Scene
from generators.wording import recognise

__all__ = ["Photograph", "Photos", "open_photos"]

_SMALLEST_SIDE = 256
_BOMBS = (Image.DecompressionBombWarning, Image.DecompressionBombError)
_CALM = 0.035
"""Mean step of brightness between neighbours, on a copy of 64 rows, up to which ground is calm."""

_SOFTNESS = {"deep": 0.0012, "medium": 0.006, "shallow": 0.014}
"""Depth of field to the blur of a photograph behind the product, as a share of the picture."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph that products may stand before.

    Args:
        path: Its file.
        sha256: Of the file's bytes.
        words: What its file's name says of a scene, part to word.
        colour: Its mean colour, CIE L*a*b*.
    """

    path: Path
    sha256: str
    words: Mapping[str, str]
    colour: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Photos(Renderer):
    """Draws products before photographs; the rest of the scene is the studio's.

    Args:
        photographs: What to choose from, by the file's name and colours, and by chance.
    """

    photographs: tuple[Photograph, ...]

    name = "photos/1"
    batch = 1

    @property
    def checkpoints(self) -> Mapping[str, str]:
        """The photographs' common hash: other photographs draw other pictures."""
        hashes = "".join(sorted(photograph.sha256 for photograph in self.photographs))
        return {"backgrounds": hashlib.sha256(hashes.encode()).hexdigest()}

    def render(
        self, product: ReadyProduct, scene: Scene | None = None, *, seed: int, size: Size = SQUARE
    ) -> Rendered:
        """Draw a product before a photograph.

        Args:
            product: The cut-out to show; its pixels are kept.
            scene: Surface, props, light and mood are the studio's; the photograph that suits
                backdrop, season and palette is likely.
            seed: Every random choice comes from it.
            size: Width and height in pixels.

        Raises:
            CatalogueError: A photograph changed after the folder was opened.
        """
        rng = np.random.default_rng([seed, 0xF0705])
        scene = scene or Scene()
        photograph = self._choose(scene, rng)
        backdrop = _crop(_read(photograph), max(size), rng)
        stage = _match(set_stage(scene, size=max(size), rng=rng), backdrop)
        window = open_window(size, base=0.5 if stage.overhead else stage.base)
        if stage.overhead or _unrest(backdrop[round(0.62 * stage.size) :]) < _CALM:
            # sand mirrors nothing
            stage = replace(stage, scene=replace(stage.scene, surface="sand"))
            picture = _as_ground(backdrop, stage, rng)
        else:
            sigma = _SOFTNESS[scene.depth] * stage.size
            stage = replace(stage, scene=replace(stage.scene, backdrop="garden"))
            picture = light_set(_bokeh(backdrop, sigma), stage, rng)
        return furnish(picture, product, stage, window, rng)

    def _choose(self, scene: Scene, rng: np.random.Generator) -> Photograph:
        """Prefer what the file's name and colours say; leave room for chance."""
        asked = scene.to_words()
        wall = rgb_to_lab(to_bytes(tone(PALETTES[scene.palette].wall))[None, None])[0, 0]
        scores = [
            2.0 * (photograph.words.get("backdrop") == scene.backdrop)
            + 0.7 * sum(asked[part] == word for part, word in photograph.words.items())
            - float(np.linalg.norm(np.array(photograph.colour) - wall)) / 25.0
            for photograph in self.photographs
        ]
        best = np.argmax(np.array(scores) + rng.gumbel(0.0, 0.6, len(scores)))
        return self.photographs[int(best)]


def open_photos(folder: Path) -> Photos:
    """Open a folder of photographs.

    Args:
        folder: Holds JPEG, PNG or WebP files of 256 pixels a side or more; others are left out.

    Raises:
        CatalogueError: There is no such folder, or no photograph in it can be used.
    """
    if not folder.is_dir():
        raise CatalogueError(
            f"there is no folder of background photographs at {folder}",
            remedy="write photos:FOLDER with the path of a folder that holds JPEG, PNG or WebP",
        )
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"}:
            continue
        data = path.read_bytes()
        pixels = _decode(data, longest=_SMALLEST_SIDE)
        if pixels is None:
            continue
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\d]+", " ", path.stem)
        mean = rgb_to_lab(pixels[::4, ::4]).mean(axis=(0, 1))
        colour = (float(mean[0]), float(mean[1]), float(mean[2]))
        digest = hashlib.sha256(data).hexdigest()
        found.append(Photograph(path.resolve(), digest, recognise(name, {}), colour))
    if not found:
        raise CatalogueError(
            f"no picture in {folder} can be a background",
            remedy=f"put JPEG, PNG or WebP files of {_SMALLEST_SIDE} pixels a side or more there",
        )
    return Photos(tuple(found))


def _decode(data: bytes, *, longest: int = 2048) -> Pixels | None:
    """Pixels of a photograph, height x width x 3; None where it cannot be used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
        with image:
            if min(image.size) < _SMALLEST_SIDE:
                return None
            image.draft("RGB", (longest, longest))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, *_BOMBS):
        return None
    upright.thumbnail((longest, longest), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(upright)


def _read(photograph: Photograph) -> Pixels:
    return _remembered(photograph.path, photograph.sha256)


@lru_cache(maxsize=12)
def _remembered(path: Path, sha256: str) -> Pixels:
    data = path.read_bytes() if path.is_file() else b""
    pixels = _decode(data) if hashlib.sha256(data).hexdigest() == sha256 else None
    if pixels is None:
        raise CatalogueError(
            f"the background photograph {path} changed or went away in the middle of the run",
            remedy="run the command again: pictures that are there stay",
        )
    return pixels


def _crop(pixels: Pixels, size: int, rng: np.random.Generator) -> Plane:
    """The square that is calmest where a product would stand, at the size asked for."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    steps = np.linspace(0, 1, 5)
    corners = {(round(s * (width - side)), round(s * (height - side))) for s in steps}
    squares = [Image.fromarray(pixels[y : y + side, x : x + side]) for x, y in sorted(corners)]
    restless = []
    for square in squares:
        small = np.asarray(square.resize((64, 64), Image.Resampling.BOX), np.float32) / 255.0
        restless.append(_unrest(small[16:56, 14:50]) * (1.0 + 0.3 * float(rng.random())))
    chosen = squares[int(np.argmin(restless))].resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(chosen, dtype=np.float32) / 255.0


def _unrest(part: Plane) -> float:
    """Mean step of brightness between neighbours, on a copy of about 64 x 64 a square."""
    grey = part.mean(axis=2)
    step = max(1, round(grey.shape[1] / 64))
    rows, columns = (length // step * step for length in grey.shape)
    blocks = grey[:rows, :columns].reshape(rows // step, step, columns // step, step)
    small = blocks.mean(axis=(1, 3))
    return float(np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean())


def _match(stage: Stage, backdrop: Plane) -> Stage:
    """Let the set's light have the photograph's side, colour and brightness."""
    mean = backdrop.mean(axis=(0, 1))
    third = stage.size // 3
    left, right = float(backdrop[:, :third].mean()), float(backdrop[:, -third:].mean())
    side = stage.light.side
    if abs(left - right) > 0.12 * max(float(mean.mean()), 0.05):
        side = -1.0 if left > right else 1.0
    bright = float(np.clip(mean.mean() / 0.55, 0.5, 1.05))
    cast = bright * (1.0 + 0.30 * (mean / max(float(mean.mean()), 0.02) - 1.0))
    tint = (float(cast[0]), float(cast[1]), float(cast[2]))
    light = stage.light
    matched = Light(side, light.softness, tint, light.ambient, light.shadow, light.length)
    return replace(stage, light=matched)


def _bokeh(backdrop: Plane, sigma: float) -> Plane:
    """Blur as a lens does: bright points grow into discs rather than fade into grey."""
    if sigma < 0.5:
        return backdrop
    return np.asarray(np.cbrt(np.maximum(blur(backdrop**3, sigma), 0.0)), dtype=np.float32)


def _as_ground(backdrop: Plane, stage: Stage, rng: np.random.Generator) -> Plane:
    """The photograph as what the product stands or lies on; what is far away is out of focus."""
    untinted = replace(stage, light=replace(stage.light, tint=(1.0, 1.0, 1.0)))
    light = light_field(untinted, rng)
    if stage.overhead:
        depth = "deep" if _unrest(backdrop) < 2 * _CALM else "shallow"
        return np.asarray(_bokeh(backdrop, _SOFTNESS[depth] * stage.size) * light)
    soft = _bokeh(backdrop, _SOFTNESS[stage.scene.depth] * stage.size)
    _, y = stage.grid()
    near = ramp(stage.horizon - 0.06, stage.base, y)[..., None]
    return np.asarray((soft + (backdrop - soft) * near) * light)
