"""The catalogue, lossless masters and their lineage on disk, and what must not be shown again."""

from abplatform.creatives.catalogue import (
    CATALOGUE_FILE,
    Catalogue,
    Refusal,
    clean_title,
    image_path,
    read_catalogue,
    read_categories,
)
from abplatform.creatives.lineage import LINEAGE_FILE, append_lineage, read_lineage
from abplatform.creatives.masters import read_cutout, read_master, save_master
from abplatform.creatives.perceptual import is_near, perceptual_hash
from abplatform.creatives.withdrawn import NOTHING_WITHDRAWN, Selector, Withdrawn

__all__ = [
    "CATALOGUE_FILE",
    "LINEAGE_FILE",
    "NOTHING_WITHDRAWN",
    "Catalogue",
    "Refusal",
    "Selector",
    "Withdrawn",
    "append_lineage",
    "clean_title",
    "image_path",
    "is_near",
    "perceptual_hash",
    "read_catalogue",
    "read_categories",
    "read_cutout",
    "read_lineage",
    "read_master",
    "save_master",
]
