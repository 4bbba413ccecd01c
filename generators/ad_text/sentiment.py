"""How friendly a text sounds."""

from __future__ import annotations

from textblob import TextBlob

from generators.ad_text.brief import CHINESE

__all__ = ["sentiment"]


def sentiment(text: str) -> float | None:
    """Return the polarity of an English text's words, -1 (gloomy) … 1 (glad).

    It is TextBlob's mean over a lexicon of adjectives (Pattern; De Smedt & Daelemans, 2012), with
    negations. It says how a text sounds, not how many will click.

    Args:
        text: A text.

    Returns:
        None for Chinese, of which the lexicon knows nothing.
    """
    return None if CHINESE.search(text) else float(TextBlob(text).sentiment.polarity)
