"""Product photographs → cut-outs: from transparency, a white background, or what stands out."""

from generators.intake.cutting import cut_out
from generators.intake.decoding import PhotographRefused
from generators.intake.products import Intake, ReadyProduct, read_products

__all__ = ["Intake", "PhotographRefused", "ReadyProduct", "cut_out", "read_products"]
