"""The diffusion renderer: a latent diffusion model paints the scene, the product stays itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from abplatform.checkpoints.pretrained import CheckedFolder, find_checkpoint
from abplatform.domain.catalog import Placement
from generators.arrays import Pixels, Plane, blur, resize
from generators.intake import ReadyProduct
from generators.renderers.diffusion.controls import NEUTRAL, find_edges, repaint_mask
from generators.renderers.diffusion.manner import read_manner
from generators.renderers.diffusion.pipelines import (
    Painting,
    load_pipeline,
    paint,
    side_of,
    way_of,
)
from generators.renderers.placing import (
    SQUARE,
    Order,
    Rendered,
    Renderer,
    Size,
    Window,
    compose,
    open_window,
)
from generators.renderers.shadows import contact_shadow, darken
from generators.renderers.stage import Stage, set_stage
from generators.renderers.studio import place_product
from generators.scene import Scene
from generators.weights import embedded

__all__ = ["Diffusion", "Draft", "draft_of", "open_diffusion"]

_SHADE = np.array([0.16, 0.15, 0.17], dtype=np.float32)
"""What the deepest contact shadow leaves of the light."""

_TOGETHER = 8
"""Pictures that an accelerator paints at once."""

_JOIN = "+"
"""Between a model and the ControlNet that goes with it."""


@dataclass(frozen=True, slots=True)
class Diffusion(Renderer):
    """Paints scenes with a diffusion model.

    Args:
        model: The pipeline's checked folder.
        controlnet: The ControlNet's, unless the pipeline has one.
    """

    model: CheckedFolder
    controlnet: CheckedFolder | None = None
    name = "diffusion/1"

    @property
    def batch(self) -> int:
        """Several on an accelerator; on a CPU one by one, which keeps every bit."""
        return _TOGETHER if torch.cuda.is_available() else 1

    @property
    def checkpoints(self) -> Mapping[str, str]:
        """Role to sha256 of the models that take part."""
        found = {"diffusion": self.model.sha256}
        if self.controlnet is not None:
            found["controlnet"] = self.controlnet.sha256
        return found

    def render(
        self, product: ReadyProduct, scene: Scene | None = None, *, seed: int, size: Size = SQUARE
    ) -> Rendered:
        """Paint a scene around a product.

        Args:
            product: The cut-out to show; its pixels are kept.
            scene: What to paint around it; the vocabulary's defaults if None.
            seed: Every random choice comes from it.
            size: Width and height in pixels.
        """
        return self.render_many([Order(product, scene, seed, size)])[0]

    def render_many(self, orders: Sequence[Order]) -> list[Rendered]:
        """Paint several pictures, each as :meth:`render` would paint it alone.

        On an accelerator they are painted together: equal but for the rounding of half precision.
        """
        beside = self.controlnet.folder if self.controlnet else None
        pipeline = load_pipeline(self.model.folder, beside)
        way = way_of(self.model.folder, controlnet=beside)
        drafts = [draft_of(order) for order in orders]
        side = side_of(pipeline)
        manner = read_manner(self.model.folder)
        asked = [draft.ask(side, manner.prompt(draft.scene)) for draft in drafts]
        painted = [
            picture
            for first in range(0, len(asked), self.batch)
            for picture in paint(pipeline, way, manner, asked[first : first + self.batch])
        ]
        return [
            draft.finish(np.asarray(picture.convert("RGB")))
            for draft, picture in zip(drafts, painted, strict=True)
        ]


def open_diffusion(named: str = "") -> Diffusion:
    """Find and check a diffusion model.

    Args:
        named: Folder or hub id, and after a ``+`` the folder or hub id of a ControlNet for
            outlines (canny); each may be pinned by ``@<sha256>``. Empty: the embedded model.

    Raises:
        CheckpointError: There is none, or it is refused.
    """
    if not named:
        return Diffusion(embedded("diffusion"))
    place, _, beside = named.partition(_JOIN)
    model = find_checkpoint(place, kind="diffusion model")
    controlnet = find_checkpoint(beside, kind="ControlNet") if beside else None
    way_of(model.folder, controlnet=controlnet.folder if controlnet else None)
    read_manner(model.folder)
    return Diffusion(model, controlnet)


@dataclass(frozen=True, slots=True)
class Draft:
    """A picture whose product has its place and whose scene is not painted yet."""

    scene: Scene
    stage: Stage
    window: Window
    cutout: Pixels
    placement: Placement
    seed: int

    def ask(self, side: int, prompt: str) -> Painting:
        """Say what a model of a certain size is asked to paint."""
        whole = Image.new("RGBA", (self.stage.size, self.stage.size))
        whole.paste(Image.fromarray(self.cutout), (self.placement.x, self.placement.y))
        small = np.asarray(whole.resize((side, side), Image.Resampling.BOX))
        alpha = small[..., 3:].astype(np.float32) / 255.0
        alone = (small[..., :3] * alpha + NEUTRAL * (1.0 - alpha) + 0.5).astype(np.uint8)
        mask = repaint_mask(small[..., 3], reach=max(1, side // 128))
        return Painting(
            prompt,
            Image.fromarray(alone),
            Image.fromarray(mask),
            Image.fromarray(find_edges(alone)),
            self.seed,
        )

    def finish(self, painted: Pixels) -> Rendered:
        """Enlarge what was painted, shade the product's foot and lay the product over it."""
        side = self.stage.size
        picture = _enlarge(painted, side, np.random.default_rng([self.seed, side]))
        if not self.stage.overhead:
            contact = contact_shadow(
                self.cutout, self.placement, side, softness=self.stage.light.softness
            )
            picture = darken(picture, contact, _SHADE, 0.8)
        return compose(self.window.cut(picture), self.cutout, self.window.see(self.placement))


def draft_of(order: Order) -> Draft:
    """Place an order's product; its scene is still to be painted."""
    scene = order.scene or Scene()
    stage = set_stage(scene, size=max(order.size), rng=np.random.default_rng([order.seed, 0xD1FF]))
    window = open_window(order.size, base=0.5 if stage.overhead else stage.base)
    cutout, placement = place_product(order.product.cutout, stage, window)
    return Draft(scene, stage, window, cutout, placement, order.seed)


def _enlarge(painted: Pixels, side: int, rng: np.random.Generator) -> Plane:
    """Bring a small picture to its size; a breath of grain stands for what it cannot know."""
    light = painted.astype(np.float32) / 255.0
    while light.shape[0] < side:
        size = min(2 * light.shape[0], side)
        light = resize(light, size, size)
        light += 0.35 * (light - blur(light, 1.2))
    if light.shape[0] > side:
        light = resize(light, side, side)
    if painted.shape[0] < side:
        light = light + rng.normal(0.0, 0.006, (side, side, 1)).astype(np.float32)
    return np.asarray(np.clip(light, 0.0, 1.0))
