"""What a sink's answer means, and when to try again: what the file says in `answers.py`, what comes of it in `judging.py`."""

from __future__ import annotations

from .answers import LONGEST_WAIT, Answers, Breaker, Items, Limits, Retry, Rule
from .judging import Judgement, judge, next_state

__all__ = ["LONGEST_WAIT", "Answers", "Breaker", "Items", "Judgement", "Limits", "Retry", "Rule", "judge", "next_state"]
