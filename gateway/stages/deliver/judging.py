"""What a sink's answer means for each delivery, and where that leaves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from msgspec import Struct, to_builtins

from ...expr import ExpressionError, Path
from ...model import Response, State, Verdict
from .answers import LONGEST_WAIT, Answers, Items, Retry, Rule

RETRIED = frozenset({408, 425, 429})
PARKED = frozenset({401, 403})


class Judgement(Struct, frozen=True):
    """
    What an answer means for one delivery, and why. `after`: seconds to wait at least; `at_most`: seconds to go on waiting. `own`:
    it spoke of this one alone.
    """

    verdict: Verdict
    reason: str
    after: float | None = None
    own: bool = False
    at_most: float = 0.0


def judge(answers: Answers, response: Response, ids: Sequence[str], now: float) -> list[Judgement]:
    """
    What a response means for each of the events it answers, by their ids, in order. Fewer judgements than events: of the rest
    nothing is known, but that it was not taken.
    """
    count, scope = len(ids), {"response": to_builtins(response), "now": now}
    ruled = _ruled(answers.rules, scope, response, now)
    if ruled is not None:
        return [ruled] * count
    judged, items = _by_status(response.status, response, now), answers.items
    if items is None:
        return [judged] * count
    if items.each is None:
        return _until_bad(items, judged, response, count)
    if judged.verdict != "delivered":
        return [judged] * count
    return (
        _by_id(items, scope, response, ids, judged, now)
        if items.id is not None
        else _in_order(items, scope, response, count, now)
    )


def _until_bad(items: Items, judged: Judgement, response: Response, count: int) -> list[Judgement]:
    """Those before the first bad item, and itself."""
    found = _found(items.first_bad, response.json)
    bad = found[0] if found else None
    if judged.verdict != "dead" or not isinstance(bad, int) or isinstance(bad, bool) or not 0 <= bad < count:
        return [judged] * count
    taken = Judgement("delivered", f"{judged.reason}, and took all before the first bad item", own=True)
    return [taken] * bad + [Judgement("dead", f"{judged.reason}; item {bad} is bad", own=True)]


def _by_id(
    items: Items, scope: Mapping[str, Any], response: Response, ids: Sequence[str], taken: Judgement, now: float
) -> list[Judgement]:
    if response.json is None:
        return [Judgement("retry", f"{taken.reason}, and the answer is not JSON, so that it names no items")] * len(ids)
    judgements = dict.fromkeys(ids, taken)
    for item in _found(items.each, response.json):
        id = str(next(iter(_found(items.id, item)), ""))
        if id not in judgements:
            reason = f"{taken.reason}, and the answer names an item {id[:100]!r} that was not sent"
            return [Judgement("retry", reason)] * len(ids)
        if judgements[id].verdict == "delivered":  # named twice, a refusal stands
            judgements[id] = _item(items, {**scope, "item": item}, item, response, now)
    return list(judgements.values())


def _in_order(items: Items, scope: Mapping[str, Any], response: Response, count: int, now: float) -> list[Judgement]:
    found = _found(items.each, response.json)
    if len(found) != count:
        hint = "; what `each` finds is a list: write [*] behind it" if len(found) == 1 and isinstance(found[0], list) else ""
        reason = f"answered {response.status}, and the answer names {len(found)} of {count} items{hint}"
        return [Judgement("retry", reason)] * count
    return [_item(items, {**scope, "item": item}, item, response, now) for item in found]


def _found(path: Path | None, document: Any) -> list[Any]:
    try:
        return path(document) if path is not None else []
    except ExpressionError:
        return []


def _item(items: Items, scope: Mapping[str, Any], item: Any, response: Response, now: float) -> Judgement:
    status = item.get("status") if isinstance(item, dict) else None
    said = f"item: {status if status is not None else 'no status'}{_cause(item)}"
    ruled = _ruled(items.rules, scope, response, now, said)
    if ruled is not None:
        return Judgement(ruled.verdict, ruled.reason, ruled.after, own=True)
    judged = _by_status(status if isinstance(status, int) else 500, response, now)
    return Judgement(judged.verdict, said, judged.after, own=True)


def _cause(item: Any) -> str:
    error = item.get("error") if isinstance(item, dict) else None
    if isinstance(error, dict):
        error = error.get("reason") or error.get("type")
    return f" ({error})" if error else ""


def _ruled(
    rules: Sequence[Rule], scope: Mapping[str, Any], response: Response, now: float, said: str | None = None
) -> Judgement | None:
    for index, rule in enumerate(rules):
        try:
            holds = rule.when(scope)
        except ExpressionError:
            holds = False
        if holds:
            asked = _retry_after(response, now) if rule.then in ("retry", "wait") else None
            own = rule.after.seconds(scope) if rule.after is not None else None
            after = max((each for each in (own, asked) if each is not None), default=None)
            which = "" if rule.then == "delivered" else f"; rules[{index}] says {rule.then}"
            at_most = rule.at_most if rule.then == "wait" else 0.0
            reason = (said or _answered(response.status)) + which
            return Judgement(rule.then, reason, after, own=not rule.halve, at_most=at_most)
    return None


def _by_status(status: int, response: Response, now: float) -> Judgement:
    reason = _answered(status)
    if 200 <= status < 300:
        return Judgement("delivered", reason)
    if status in RETRIED or status >= 500:
        return Judgement("retry", reason, _retry_after(response, now))
    if status in PARKED:
        return Judgement("park", reason)
    return Judgement("split" if status == 413 else "dead", reason)


def _answered(status: int) -> str:
    return f"answered {status}" + ("; redirects are not followed, so give the final address" if 300 <= status < 400 else "")


def _retry_after(response: Response, now: float) -> float | None:
    """Seconds, from Retry-After (RFC 9110, section 10.2.3): seconds or a date. Nonsense is passed over."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(LONGEST_WAIT, float(text[:12]))
    try:
        moment = parsedate_to_datetime(text)
        wait = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, min(LONGEST_WAIT, wait))


def next_state(judgement: Judgement, attempts: int, retry: Retry, chance: float, now: float) -> tuple[State, float, str]:
    """Where a judgement leaves a delivery after try number `attempts`: its state, when it is due again, and why."""
    if judgement.verdict == "delivered":
        return "delivered", 0.0, judgement.reason
    if judgement.verdict == "park":
        return "parked", 0.0, f"{judgement.reason}; parked until it is mended"
    if judgement.verdict == "retry" and attempts < retry.attempts:
        wait = max(retry.delay(attempts, chance), judgement.after or 0.0)
        return "pending", now + wait, judgement.reason
    if judgement.verdict == "retry":
        return "dead", 0.0, f"{judgement.reason}; given up after {attempts} tries"
    return "dead", 0.0, judgement.reason
