"""Brand kits: what a brand asks of its creatives in a country, and how that is held."""

from generators.brand.dressing import Dressed, dress
from generators.brand.kit import NO_BRAND, BrandKit, Logo
from generators.brand.reading import NO_BRANDS, Brands, read_brands

__all__ = [
    "NO_BRAND",
    "NO_BRANDS",
    "BrandKit",
    "Brands",
    "Dressed",
    "Logo",
    "dress",
    "read_brands",
]
