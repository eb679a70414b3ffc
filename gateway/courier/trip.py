"""One trip to a sink: what it needs, one exchange with the sink, and where an answer leaves a delivery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from ..errors import SecretUnset, Undelivered
from ..model import Attempt, Delivery, Request, Response, Verdict
from ..pace import Pace
from ..stages.authorize import OAuth2, authorize, sign
from ..stages.deliver import Answers, Judgement, judge, next_state
from ..store import Result, Steps

if TYPE_CHECKING:
    from ..config import Config
    from ..config.schema import Sink
    from ..outbound import Client

EXCERPT = 2_000  # characters of an answer that are kept
LONGEST_REASON = 600  # characters
OURS_TO_MEND = ("tls", "credentials", "library")  # reasons for which another try is worth nothing until something of ours changes


class Trip(Struct, frozen=True, kw_only=True):
    """What a sink's deliveries need on their way: its file, its names in scope, the client, a clock, a die, and until when."""

    name: str
    sink: Sink
    names: Mapping[str, Any]
    config: Config
    client: Client
    clock: Callable[[], float]
    chance: Callable[[], float]
    say: Callable[[str], Awaitable[None]]
    note: Callable[[Steps], Awaitable[bool]] | None
    pace: Pace
    until: float  # epoch seconds after which no request is begun

    def scope(self, delivery: Delivery) -> dict[str, Any]:
        """The names that a delivery's expressions have."""
        incident = to_builtins(delivery.incident) if delivery.incident else {}
        return {**self.names, "event": to_builtins(delivery.event), "incident": incident, "memory": dict(delivery.memory)}


async def exchange(
    trip: Trip, request: Request, answers: Answers, deliveries: Sequence[Delivery], *, repeatable: bool = False
) -> tuple[list[Judgement], Response | None]:
    """
    Authorize, sign, send and judge, as `judge` does. What goes wrong on the way is a judgement too; its reason may quote the
    sink, and is no more than that until it is `shown`. `repeatable`: sent twice it does no harm.
    """
    count = len(deliveries)
    try:
        response = await _proved(trip, request)
    except SecretUnset as error:
        return [Judgement("park", str(error))] * count, None
    except Undelivered as error:
        if error.unknown and trip.sink.retry.unknown == "dead" and not repeatable:
            return [Judgement("dead", f"{error}; it may have arrived, and retry.unknown says dead", own=True)] * count, None
        verdict: Verdict = "park" if error.reason in OURS_TO_MEND else "retry" if error.retryable else "dead"
        return [Judgement(verdict, str(error), error.retry_after)] * count, None
    return judge(answers, response, [delivery.event.id for delivery in deliveries], trip.clock()), response


async def _proved(trip: Trip, request: Request) -> Response:
    """The answer to a request that proves who we are. A token that a sink refuses is replaced, once."""
    auth, secrets = trip.config.auth_of(trip.name), trip.config.secrets
    if not isinstance(auth, OAuth2):
        return await _signed(trip, authorize(auth, request, secrets))
    token = await _token(trip, auth)
    response = await _signed(trip, authorize(auth, request, secrets, token))
    if response.status != HTTPStatus.UNAUTHORIZED:
        return response
    trip.client.tokens.refuse(auth, secrets, token)
    return await _signed(trip, authorize(auth, request, secrets, await _token(trip, auth)))


async def _token(trip: Trip, auth: OAuth2) -> str:
    """A token, while there is time to use it. Whatever goes wrong here, nothing was sent to the sink."""
    try:
        token = await trip.client.tokens.get(auth, trip.config.secrets, trip.sink.tls)
    except Undelivered as error:
        error.unknown = False
        raise
    if trip.clock() > trip.until:
        raise Undelivered("the time of its claim was up before there was a token", reason="token")
    return token


async def _signed(trip: Trip, request: Request) -> Response:
    signed = sign(trip.sink.sign, request, trip.config.secrets, trip.clock())
    limits, tls = trip.sink.limits, trip.sink.tls
    trip.pace.sent()
    return await trip.client.send(signed, timeout=limits.timeout, tls=tls, certificate=_certificate(trip))


def _certificate(trip: Trip) -> str:
    """What stands behind `tls.client_cert`: PEM, or the path of a file. Raises SecretUnset."""
    tls = trip.sink.tls
    return trip.config.secrets.look_up(tls.client_cert) if tls is not None and tls.client_cert is not None else ""


def settled(
    trip: Trip,
    delivery: Delivery,
    judgement: Judgement,
    began: float,
    response: Response | None,
    *,
    excerpt: str = "",
    batch: int = 1,
) -> Result:
    now, reason = trip.clock(), shown(trip, judgement.reason)
    state, due_at, verdict = next_state(replace(judgement, reason=reason), delivery.attempts, trip.sink.retry, trip.chance(), now)
    attempt = Attempt(
        number=delivery.attempts,
        at=began,
        seconds=max(0.0, now - began),
        verdict=judgement.verdict,
        status=response.status if response else None,
        excerpt=excerpt,
        error="" if judgement.verdict == "delivered" else reason,
        batch=batch,
    )
    rest = wished(judgement, response)
    return Result(delivery=delivery, attempt=attempt, state=state, due_at=due_at, verdict=verdict, rest=rest)


def excerpt_of(trip: Trip, response: Response | None) -> str:
    """The beginning of an answer as it may be kept: worked out once, however many deliveries it is an answer to."""
    return trip.config.secrets.mask(response.text)[:EXCERPT] if response else ""


def shown(trip: Trip, reason: str) -> str:
    """A reason without secrets: masked first and cut then, as half a secret would be left."""
    return trip.config.secrets.mask(reason)[:LONGEST_REASON]


def wished(judgement: Judgement, response: Response | None) -> float:
    """
    For how many seconds a sink wants to be asked nothing more: what it took, and what it took no more of (429, RFC 6585), say so
    of all requests; any other delay is this delivery's alone.
    """
    of_all = judgement.verdict == "delivered" or (response is not None and response.status == HTTPStatus.TOO_MANY_REQUESTS)
    return judgement.after or 0.0 if of_all else 0.0


def cancelled(delivery: Delivery, reason: str) -> Result:
    return Result(delivery=delivery, attempt=None, state="cancelled", verdict=reason)


def untried(delivery: Delivery, due_at: float, reason: str) -> Result:
    return Result(delivery=delivery, attempt=None, state="pending", due_at=due_at, verdict=reason)


def too_late(trip: Trip, delivery: Delivery) -> Result:
    return untried(delivery, trip.clock(), "not sent yet: the time of its claim was up")
