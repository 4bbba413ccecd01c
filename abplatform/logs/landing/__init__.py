"""The landing: what happened, as bytes on the disk, append-only and immutable once sealed.

``data/landing/open/<source>/<utc-hour>/`` holds segments that are being written, ``sealed/…`` those
that never change again: a data file, its ``.sha256`` (as sha256sum writes it) and a ``.json`` with
where it comes from. The data file is renamed into its place last, so a segment is there whole or
not at all. Segments are numbered in the order in which they are sealed; loading them in that order
rebuilds the warehouse.

Lines are acknowledged once they are on the disk: :class:`Landing` for one writer, a
:class:`Collector` for many callers at once. Imported files land byte for byte; the mapping that
reads them lands beside them, in ``data/landing/mappings/<sha256>.yaml``. ``ingests.jsonl`` holds
what no segment can tell: when a source was read, and which files were delivered again.
"""

from __future__ import annotations

from abplatform.logs.landing.appending import SEAL_SECONDS, SEGMENT_BYTES, Landing
from abplatform.logs.landing.collector import Collector
from abplatform.logs.landing.deliveries import find_segment, find_standing
from abplatform.logs.landing.imports import land_file
from abplatform.logs.landing.ingests import append_ingest, read_ingests, torn_ingests
from abplatform.logs.landing.sealing import open_files
from abplatform.logs.landing.segments import (
    FORMS,
    Hours,
    MappingText,
    Segment,
    check_bytes,
    check_source,
    file_sha256,
    form_of,
    sealed_segments,
)

__all__ = [
    "FORMS",
    "SEAL_SECONDS",
    "SEGMENT_BYTES",
    "Collector",
    "Hours",
    "Landing",
    "MappingText",
    "Segment",
    "append_ingest",
    "check_bytes",
    "check_source",
    "file_sha256",
    "find_segment",
    "find_standing",
    "form_of",
    "land_file",
    "open_files",
    "read_ingests",
    "sealed_segments",
    "torn_ingests",
]
