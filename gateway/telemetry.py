"""
What we tell operators: one function per fact, each one log line and its metrics. To add a fact, write a function here.

Labels are names from the configuration and bounded words, never ids, addresses or anything a sender wrote.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from . import __version__
from .log import Foreign, Log, Mask
from .model import Incident, Receipt, Webhook
from .voice import Voice

if TYPE_CHECKING:
    from .store import Result

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it
REGISTRY = CollectorRegistry()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_WEBHOOKS = Counter("gateway_webhooks", "Webhooks by what became of them.", ["provider", "outcome"], registry=REGISTRY)
_EVENTS = Counter("gateway_events", "Events by action and outcome.", ["provider", "action", "outcome"], registry=REGISTRY)
_REFUSED = Counter(
    "gateway_refused", "Webhooks refused, by stage and reason.", ["provider", "stage", "reason"], registry=REGISTRY
)
_INGEST = Histogram(
    "gateway_webhook_seconds", "Time from the body to the commit.", ["provider"], buckets=_SECONDS, registry=REGISTRY
)
_ATTEMPTS = Counter("gateway_attempts", "Tries of deliveries.", ["sink", "verdict", "code"], registry=REGISTRY)
_ATTEMPT = Histogram(
    "gateway_attempt_seconds",
    "Time one request took, with all the deliveries in it.",
    ["sink"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
_DELIVERIES = Gauge("gateway_deliveries", "Deliveries by state.", ["sink", "state"], registry=REGISTRY)
_OWED = Gauge("gateway_deliveries_accepted", "Deliveries ever owed: the sum of gateway_deliveries.", ["sink"], registry=REGISTRY)
_PAUSED = Gauge("gateway_sink_paused", "1 while a sink is left alone.", ["sink"], registry=REGISTRY)
_STUMBLES = Counter("gateway_worker_stumbles", "Errors of the store that the worker met.", ["sink"], registry=REGISTRY)
_CUT_OFF = Counter(
    "gateway_connections_cut_off", "Connections ended before they said a whole request.", ["reason"], registry=REGISTRY
)
_DROPPED = Counter("gateway_log_lines_dropped", "Lines of the log that were not read in time.", registry=REGISTRY)
_LOADED = Gauge("gateway_config_loaded_timestamp_seconds", "When the configuration was loaded.", registry=REGISTRY)
_RELOADED = Gauge(
    "gateway_config_last_reload_successful",
    "0 while files that changed are broken, and what was loaded before runs.",
    registry=REGISTRY,
)
_BUILD = Gauge("gateway_build_info", "The version.", ["version"], registry=REGISTRY)
_BUILD.labels(__version__).set(1)

LONG_REST = 60.0  # seconds for which a sink may want nothing without that being worth a warning

_log = Log(_DROPPED.inc)
_FOREIGN = Foreign(_log)


def set_up(*, dev: bool, mask: Mask, stream: TextIO | None = None) -> None:
    """Log JSON lines to standard error; in dev mode on a terminal, lines for people. `mask` gives a text without our secrets."""
    finish()
    out = stream or sys.stderr
    _log.speak(Voice(out, _lines_lost), mask, for_people=dev and out.isatty())
    logging.getLogger().addHandler(_FOREIGN)


def finish() -> None:
    """Write what is left to be written; it may take a second where nobody reads."""
    _log.close()


def conceal(mask: Mask) -> None:
    """From now on every log line is masked by this."""
    _log.mask = mask


def _lines_lost(count: int) -> None:
    _log.error("log.lost", lines=count, message="nobody read the log for a while; these lines are lost")


@lru_cache(maxsize=4096)
def _of(metric: Any, *labels: str) -> Any:
    """A metric with its labels: names from the configuration and bounded words, so these are few."""
    return metric.labels(*labels)


def webhook_taken(webhook: Webhook, receipt: Receipt, *, seconds: float) -> None:
    """A webhook was accepted and is on disk."""
    outcome = "duplicate" if receipt.duplicate else "dead" if receipt.dead and not receipt.events else "accepted"
    _of(_WEBHOOKS, webhook.provider, outcome).inc()
    _of(_INGEST, webhook.provider).observe(seconds)
    for told in receipt.events if not receipt.duplicate else ():
        _of(_EVENTS, webhook.provider, told.action, told.outcome).inc()
    level = _log.warning if receipt.dead else _log.info
    level(
        "webhook.taken",
        provider=webhook.provider,
        webhook_id=webhook.id,
        client=webhook.client,
        outcome=outcome,
        events=len(receipt.events),
        actions=[told.action for told in receipt.events],
        incidents=[told.incident_id for told in receipt.events if told.incident_id],
        ignored=receipt.ignored,
        filtered=receipt.filtered,
        dead=[f"{item.index}: {item.message}" for item in receipt.dead],
        bytes=len(webhook.body),
        seconds=round(seconds, 6),
    )


def webhook_refused(provider: str, *, stage: str, reason: str, message: str, status: int, client: str) -> None:
    """A webhook was refused; nothing of it was kept. `provider` is "" where there is none of that name."""
    _of(_REFUSED, provider, stage, reason).inc()
    _log.warning("webhook.refused", provider=provider, stage=stage, reason=reason, message=message, status=status, client=client)


def connection_cut_off(reason: str) -> None:
    """A connection was ended because it was too slow, said too much, or was one too many."""
    _of(_CUT_OFF, reason).inc()


def hands_shaken(webhook: Webhook, *, visited: bool) -> None:
    """A message that only sets the door up was answered."""
    _of(_WEBHOOKS, webhook.provider, "handshake").inc()
    _log.info("webhook.handshake", provider=webhook.provider, webhook_id=webhook.id, visited=visited)


def deliveries_tried(sink: str, results: Sequence[Result], now: float) -> None:
    """One try of each of these ended, or it was cancelled, or is to wait, untried. What went in one request is one time."""
    tries = [result.attempt for result in results if result.attempt is not None]
    for (verdict, code), count in Tally((each.verdict, _code(each.status)) for each in tries).items():
        _of(_ATTEMPTS, sink, verdict, code).inc(count)
    for seconds in {each.at: each.seconds for each in tries}.values():
        _of(_ATTEMPT, sink).observe(seconds)
    for result in results:
        _tried(result, now)


def _code(status: int | None) -> str:
    return f"{status // 100}xx" if status else "none"


def _tried(result: Result, now: float) -> None:
    delivery, attempt, state = result.delivery, result.attempt, result.state
    calm = state in ("delivered", "cancelled") or (attempt is None and state == "pending")
    level = "info" if calm else "error" if state == "dead" else "warning"
    getattr(_log, level)(
        "delivery.tried",
        sink=delivery.sink,
        delivery_id=delivery.id,
        incident_id=delivery.incident.id if delivery.incident else "",
        action=delivery.event.action,
        number=attempt.number if attempt else 0,
        state=state,
        verdict=result.verdict,
        status=attempt.status if attempt else None,
        seconds=round(attempt.seconds, 6) if attempt else 0,
        batch=attempt.batch if attempt else 0,
        retry_in=round(result.due_at - now, 3) if state == "pending" else None,
    )


def nothing_to_remember(sink: str, step: str, message: str) -> None:
    """A step was done, and its answer does not hold what the file wants to remember; a later step may wait for it in vain."""
    _log.warning("step.forgot", sink=sink, step=step, message=message)


def sink_paused(sink: str, reason: str) -> None:
    """A sink is left alone for a while."""
    _of(_PAUSED, sink).set(1)
    _log.error("sink.paused", sink=sink, reason=reason)


def sink_resumed(sink: str) -> None:
    """A sink takes deliveries again."""
    _of(_PAUSED, sink).set(0)
    _log.info("sink.resumed", sink=sink)


def sink_rests(sink: str, seconds: float) -> None:
    """A sink says that it has enough for now, and is asked nothing more for so long."""
    (_log.info if seconds < LONG_REST else _log.warning)("sink.rests", sink=sink, seconds=round(seconds, 3))


def sink_off(sink: str, reason: str) -> None:
    """A sink of one's own is off, because a variable or secret of its file has no value."""
    _log.warning("sink.off", sink=sink, reason=reason)


def sinks_unverified(sinks: list[str]) -> None:
    """Anybody between us and these sinks may read and change what they are sent: their certificates are not checked."""
    message = "THEIR CERTIFICATES ARE NOT CHECKED: anybody may pose as them; take `tls.verify: false` away"
    _log.warning("sinks.unverified", sinks=sinks, message=message)


def no_sink_is_on() -> None:
    """Webhooks are taken in and kept, and nobody is told of them."""
    _log.warning("sinks.none", message="no sink is on: events are kept, and nobody is told of them")


def providers_open(providers: list[str]) -> None:
    """Dev mode: these take unsigned webhooks, because their secrets are not set."""
    _log.warning("providers.open", providers=providers, message="DEV MODE: these doors are open")


def provider_closed(provider: str, unset: str) -> None:
    """A provider answers 503, because its secret is not set."""
    _log.warning("provider.closed", provider=provider, unset=unset, message="it answers 503 until the secret is set")


def incident_went_quiet(incident: Incident) -> None:
    """An incident resolved by itself: it had not triggered for as long as its provider file says."""
    _log.info("incident.quiet", provider=incident.provider, incident_id=incident.id, dedup_key=incident.dedup_key)


def replayed(kind: str, id: str, *, deliveries: int, events: int) -> None:
    """Somebody put something through again: deliveries wait to be sent once more, or a webhook made new events."""
    _log.info("replayed", kind=kind, id=id, deliveries=deliveries, events=events)


def deliveries_orphaned(count: int) -> None:
    """Deliveries died because their sink's file is gone."""
    _log.error("deliveries.orphaned", count=count, message="their sink's file is gone; they are dead letters")


def pruned(rows: int) -> None:
    """Rows older than the settings' `retention` were forgotten."""
    _log.info("store.pruned", rows=rows)


def worker_stumbled(sink: str, message: str) -> None:
    """The store refused the worker; it goes on in a moment."""
    _of(_STUMBLES, sink).inc()
    _log.error("worker.stumbled", sink=sink, message=message)


def clock_was_set(by: float) -> None:
    """The machine's clock was set while we ran. Rates and pauses do not go by it; nothing waits the longer for it."""
    _log.warning("clock.set", seconds=round(by, 1), message="the machine's clock was set forward (+) or back (-)")


def failed_unexpectedly(where: str, error: BaseException) -> None:
    """A fault of ours. The message is the error's type and place, not its text, which may hold a payload."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    _log.error("gateway.fault", where=where, error=type(error).__name__, place=place)


def started(host: str, port: int, *, providers: Iterable[str], sinks: Iterable[str]) -> None:
    """The gateway listens."""
    _loaded()
    _log.info("gateway.started", version=__version__, host=host, port=port, providers=sorted(providers), sinks=sorted(sinks))


def reloaded(*, providers: Sequence[str], sinks: Sequence[str], changed: Sequence[str], restart: Sequence[str]) -> None:
    """The files changed, and their configuration runs. `changed` sinks are tried anew; `restart` settings wait for a restart."""
    _loaded()
    level = _log.warning if restart else _log.info
    level("config.reloaded", providers=providers, sinks=sinks, changed=changed, restart=restart)


def reload_refused(problems: Sequence[str]) -> None:
    """The files changed and are broken: the configuration that was loaded before goes on."""
    _RELOADED.set(0)
    _log.error("config.refused", problems=problems, message="what was loaded before goes on")


def _loaded() -> None:
    _LOADED.set_to_current_time()
    _RELOADED.set(1)


def stopping(signal: str) -> None:
    """The gateway was told to stop; it ends what is under way."""
    _log.info("gateway.stopping", signal=signal)


def stopped() -> None:
    """The gateway has stopped."""
    _log.info("gateway.stopped")


def metrics(conservation: Mapping[str, Mapping[str, int]]) -> tuple[bytes, str]:
    """Everything measured, as Prometheus reads it, and its content type. `conservation`: counts by sink and state."""
    for sink, counts in conservation.items():
        _of(_OWED, sink).set(counts.get("accepted", 0))
        for state in counts.keys() - {"accepted"}:
            _of(_DELIVERIES, sink, state).set(counts[state])
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
