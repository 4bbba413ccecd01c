"""The catalogue, lossless masters and their lineage on disk, by content hash; what was withdrawn."""

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

__all__ = [
    "CATALOGUE_FILE",
    "LINEAGE_FILE",
    "Catalogue",
    "Refusal",
    "append_lineage",
    "clean_title",
    "image_path",
    "read_catalogue",
    "read_categories",
    "read_cutout",
    "read_lineage",
    "read_master",
    "save_master",
]
