"""Catalogue → creatives with lineage; the same call twice draws nothing twice."""

from generators.generate.drawing import ATTEMPTS
from generators.generate.run import Generation, generate_creatives
from generators.generate.screening import LEAST_WIN, Scorer
from generators.generate.slots import CreativeRefused, Generator

__all__ = [
    "ATTEMPTS",
    "LEAST_WIN",
    "CreativeRefused",
    "Generation",
    "Generator",
    "Scorer",
    "generate_creatives",
]
