"""The mark that says that a picture was not photographed: XMP that stays in the file.

The words are IPTC's digital source types (NewsCodes, 2023): a product's photograph in a drawn
scene is a composite with synthetic parts, and one with trained media where a model drew them.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import quoteattr

__all__ = ["ai_mark"]

_SOURCE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    "dc:identifier={identifier} xmp:CreatorTool={tool} "
    "Iptc4xmpExt:DigitalSourceType={source}/>"
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def ai_mark(creative_id: str, *, renderer: str, is_trained: bool) -> bytes:
    """Return the XMP packet of a creative's files.

    Args:
        creative_id: sha256 of its master.
        renderer: Name and version of what drew it.
        is_trained: Whether a trained model drew parts of it.
    """
    kind = "compositeWithTrainedAlgorithmicMedia" if is_trained else "compositeSynthetic"
    return _PACKET.format(
        identifier=quoteattr(creative_id),
        tool=quoteattr(f"abplatform {renderer}"),
        source=quoteattr(_SOURCE + kind),
    ).encode()
