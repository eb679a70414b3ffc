"""The configuration that is measured: the shipped mapping of Alertmanager's webhook behind a signature, and some sinks."""

from __future__ import annotations

from pathlib import Path

from . import webhooks

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {"BENCH_SECRET": webhooks.SECRET}

_BEARER = """\
auth:
  scheme: bearer
  token: { env: PROMETHEUS_TOKEN }
"""
_SIGNED = f"""\
auth:
  scheme: hmac
  secret: {{ env: BENCH_SECRET }}
  signature: {{ header: {webhooks.HEADER}, prefix: "sha256=" }}
"""
_SINK = """\
title: {name}
match: {match}
request:
  url: {url}
  json: {{ id: $.id, action: $.action, key: $.dedup_key, severity: $.severity, summary: $.summary, at: $.occurred_at }}
{compress}{batch}
limits: {{ timeout: 10s, concurrency: {concurrency} }}
retry: {{ attempts: 10, first_delay: 1s, max_delay: 1s }}
breaker: {{ failures: 5, pause: {pause} }}
"""
ONE = ""
HUNDRED = "batch: { events: 100, wait: 50ms, join: lines }"


def provider() -> str:
    """The provider file, without its tests."""
    shipped = (ROOT / "providers.d" / "prometheus.yaml").read_text().partition("\ntests:")[0] + "\n"
    assert _BEARER in shipped, "the shipped provider is no longer what this was written for"
    return shipped.replace(_BEARER, _SIGNED)


def sink(name: str, url: str, *, batch: str = ONE, concurrency: int = 32, pause: str = "1h", match: str = "{}") -> str:
    """A sink file. One whose URL refuses everything is left alone after five tries: its deliveries are kept and wait."""
    return _SINK.format(
        name=name,
        url=url,
        batch=batch,
        concurrency=concurrency,
        pause=pause,
        match=match,
        compress="  compress: gzip\n" if batch else "",
    )


def write(root: Path, sinks: dict[str, str], *, more: int = 0) -> Path:
    """A configuration directory; `more` providers and as many sinks that have nothing to do with what is measured."""
    for kind in ("providers.d", "sinks.d"):
        (root / kind).mkdir(parents=True)
    (root / "gateway.yaml").write_text("catalogue: false\n")
    (root / "providers.d" / "bench.yaml").write_text(provider())
    for name, text in sinks.items():
        (root / "sinks.d" / f"{name}.yaml").write_text(text)
    for number in range(more):
        different = provider().replace("labels.", f"l{number}.").replace("annotations.", f"a{number}.")  # no two are alike
        (root / "providers.d" / f"other-{number}.yaml").write_text(different)
        text = sink(f"other-{number}", "http://127.0.0.1:9/", match=f"{{ provider: [other-{number}] }}")
        (root / "sinks.d" / f"other-{number}.yaml").write_text(text)
    return root
