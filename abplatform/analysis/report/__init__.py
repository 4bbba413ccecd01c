"""A judged scorecard for people: terminal, Markdown, one-file HTML."""

from __future__ import annotations

from abplatform.analysis.report.html import scorecard_section, to_html
from abplatform.analysis.report.markdown import to_markdown
from abplatform.analysis.report.pictures import Duel, Side, choose_duels
from abplatform.analysis.report.terminal import print_scorecard
from abplatform.analysis.report.wording import describe_srm, headline

__all__ = [
    "Duel",
    "Side",
    "choose_duels",
    "describe_srm",
    "headline",
    "print_scorecard",
    "scorecard_section",
    "to_html",
    "to_markdown",
]
