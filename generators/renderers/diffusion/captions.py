"""The words that a diffusion model is given for a scene."""

from __future__ import annotations

from dataclasses import replace

from generators.scene import Scene

__all__ = ["captions_of", "mirrored"]

_SIDES = {"left": "right", "right": "left"}
_FROM_LEFT = frozenset({"leaf shade", "neon"})
"""Lights that come from the left and have no twin."""


def captions_of(scene: Scene) -> tuple[str, ...]:
    """Return the texts in which a scene can be asked for."""
    return (scene.to_text(),)


def mirrored(scene: Scene) -> Scene | None:
    """Return the scene that a mirrored picture shows; None where there is no word for it."""
    if scene.light in _FROM_LEFT:
        return None
    kind, _, side = scene.light.partition(" ")
    return replace(scene, light=f"{kind} {_SIDES[side]}") if side in _SIDES else scene
