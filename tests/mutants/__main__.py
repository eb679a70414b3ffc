"""
`make mutants`: takes each guard away, one by one, and expects its test to fail. A guard that nothing misses is one that nothing
tests. Works on a copy of the package; a guard that is not found where it is said to be is a failure too: this list is then old.

`python -m tests.mutants [WORD ...]` takes those whose name has one of the words.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LONGEST = 150  # seconds for a test; one that hangs without its guard fails as well


class Mutant(NamedTuple):
    """A guard, where it stands, what is put in its place, and the tests that must miss it."""

    name: str
    file: str
    guard: str
    instead: str
    tests: str


STORE, WEB, STAGES = "tests/store/", "tests/web/", "tests/stages/"
MUTANTS = [
    Mutant(
        "commits are not synced",
        "store/sqlite/file.py",
        'db.pragma("synchronous", "full")\n    if db.pragma("synchronous") != FULL:',
        'db.pragma("synchronous", "normal")\n    if False:',
        f"{STORE}test_store_power.py -k nothing_answered",
    ),
    Mutant(
        "answered before the commit",
        "store/sqlite/writer.py",
        '            db.execute("commit")\n        except BaseException:',
        '            db.execute("rollback")\n        except BaseException:',
        f"{STORE}test_store_accept.py {STORE}test_store_sqlite.py",
    ),
    Mutant(
        "no rollback after a failure",
        "store/sqlite/writer.py",
        '                db.execute("rollback")',
        "                pass",
        f"{STORE}test_store_accept.py {STORE}test_store_sqlite.py",
    ),
    Mutant(
        "a connection is kept after a failed sync",
        "store/sqlite/writer.py",
        "                self._forget_connection()  # after",
        "                pass  # after",
        f"{STORE}test_store_faults.py -k anew",
    ),
    Mutant(
        "results are not fenced",
        "store/sql/sqlite/deliveries.sql",
        "  and deliveries.attempts = result.fence and deliveries.due_at = result.was_due",
        "",
        f"{STORE}test_store_deliveries.py",
    ),
    Mutant(
        "claims of the process before live on",
        "store/sqlite/__init__.py",
        "                void_claims(first := open_writer(path, connect))\n                first.close()",
        "                open_writer(path, connect).close()",
        f"{STORE}test_store_deliveries.py {STORE}test_store_sqlite.py",
    ),
    Mutant(
        "no reserve",
        "store/sqlite/disk.py",
        "        if not self._reserved:\n",
        "        if False:\n",
        f"{STORE}test_store_disk.py -k 'full or room'",
    ),
    Mutant(
        "a database that was moved away is not noticed",
        "store/sqlite/disk.py",
        "if _identity(self._path) != self._identity:",
        "if False:",
        f"{STORE}test_store_disk.py -k moved",
    ),
    Mutant(
        "a log that was taken away is not noticed",
        "store/sqlite/disk.py",
        "        if self.log_is_gone:\n",
        "        if False:\n",
        f"{STORE}test_store_disk.py -k taken",
    ),
    Mutant(
        "a log that was taken away is not folded in",
        "store/sqlite/writer.py",
        "if self._db and self._disk.log_is_gone:",
        "if False:",
        f"{STORE}test_store_disk.py -k taken",
    ),
    Mutant(
        "a locked database is waited for",
        "store/sqlite/file.py",
        "PATIENCE = 1000",
        "PATIENCE = 8000",
        f"{STORE}test_store_disk.py -k holds",
    ),
    Mutant(
        "who waits for a slow disk hears nothing",
        "store/sqlite/__init__.py",
        "within=SOON)\n\n    async def claim",
        "within=0.0)\n\n    async def claim",
        f"{STORE}test_store_disk.py -k slow",
    ),
    Mutant(
        "a webhook that comes twice counts twice",
        "store/plan.py",
        "if once and (first := self.known.receipts.get(once)):",
        "if False and (first := self.known.receipts.get(once)):",
        f"{STORE}test_store_accept.py",
    ),
    Mutant(
        "any signature fits",
        "signature.py",
        '        if not found:\n            raise Unverified(f"{self.signature.header} does not fit',
        '        if False:\n            raise Unverified(f"{self.signature.header} does not fit',
        "tests/test_signature.py",
    ),
    Mutant(
        "a secret that is empty counts",
        "values/secrets.py",
        "if value.removeprefix(reference.prefix).strip():",
        "if True:",
        "tests/test_values.py",
    ),
    Mutant(
        "an old signature counts",
        "signature.py",
        "if abs(difference) > self.timestamp.tolerance:",
        "if False:",
        "tests/test_signature.py",
    ),
    Mutant(
        "a signature that comes twice counts",
        "signature.py",
        '    if name.lower() in signed.repeated:\n        raise Unverified(f"{name} came',
        '    if False:\n        raise Unverified(f"{name} came',
        "tests/test_signature.py",
    ),
    Mutant("bodies of any size", "web/ingest.py", "if size > limit:", "if False:", f"{WEB}test_door_abuse.py"),
    Mutant(
        "headers of any size",
        "web/ingest.py",
        "if len(pairs) > MOST_HEADERS or size > LARGEST_HEADERS or largest > LARGEST_HEADER:",
        "if False:",
        f"{WEB}test_door_abuse.py",
    ),
    Mutant(
        "heads that never end",
        "web/protocol.py",
        "if self._fruitless > LARGEST_HEAD and",
        "if False and",
        f"{WEB}test_protocol.py -k cut_off_after",
    ),
    Mutant(
        "requests that never end",
        "web/protocol.py",
        "self.loop.time() - self._since > PATIENCE",
        "False",
        f"{WEB}test_protocol.py -k dawdles",
    ),
    Mutant(
        "any number of connections",
        "web/protocol.py",
        "if len(self.connections) > self.most:",
        "if False:",
        f"{WEB}test_protocol.py -k too_many",
    ),
    Mutant(
        "compression bombs",
        "stages/decode/compression.py",
        "inflater.decompress(body, limit + 1)",
        "inflater.decompress(body)[: limit]",
        f"{STAGES} -k 'gzip or compress or inflat or bomb'",
    ),
    Mutant(
        "JSON of any depth",
        "stages/decode/json.py",
        '    if body.count(b"{") + body.count(b"[") > DEEPEST and any(map(is_too_deep, found)):',
        "    if False:",
        f"{STAGES} -k 'deep or decode'",
    ),
    Mutant("YAML of any depth", "config/yaml.py", "len(self.stack) >= DEEPEST", "False", "tests/config -k deep"),
    Mutant("YAML aliases", "config/yaml.py", "if isinstance(event, yaml.AliasEvent):", "if False:", "tests/config -k alias"),
    Mutant(
        "templates that print without end",
        "expr/templates.py",
        "        if size > LARGEST_OUTPUT:\n",
        "        if False:\n",
        "tests/expr",
    ),
    Mutant(
        "templates that run without end",
        "expr/environment.py",
        "if time.thread_time() > deadline:",
        "if False:",
        "tests/expr",
    ),
    Mutant(
        "metadata addresses",
        "transport.py",
        '    return refuses(ipaddress.ip_address(host.partition("%")[0]))',
        "    return False",
        "tests/test_outbound.py -k metadata",
    ),
    Mutant("redirects are followed", "transport.py", "allow_redirects=False", "allow_redirects=True", "tests/test_outbound.py"),
    Mutant(
        "secrets in the log",
        "telemetry.py",
        'value = value.replace(secret, "***")',
        "pass",
        "tests/test_telemetry.py -k masked",
    ),
    Mutant(
        "secrets in excerpts",
        "courier.py",
        'excerpt=trip.config.secrets.mask(response.text)[:EXCERPT] if response else ""',
        'excerpt=response.text[:EXCERPT] if response else ""',
        "tests/test_courier.py -k secret",
    ),
    Mutant(
        "credentials are stored",
        "reading.py",
        "if name not in headers | CONCEALED_HEADERS",
        "if True",
        "tests/test_reading.py tests/test_pipeline.py",
    ),
    Mutant(
        "the drain is not waited for",
        "app.py",
        "await worker.stop(state.left(config.settings.drain))",
        "pass",
        "tests/e2e/test_serve.py -k term_signal",
    ),
    Mutant(
        "a second signal is not heard",
        "app.py",
        "                everything.cancel()",
        "                pass",
        "tests/e2e/test_process.py -k second_signal",
    ),
    Mutant(
        "a reader that stalls holds up the loop",
        "voice.py",
        "        self._lines.put((line, told))\n        return True",
        '        self._stream.write(line + "\\n")\n        self._stream.flush()\n        return True',
        "tests/e2e/test_process.py -k nobody_reads_holds",
    ),
    Mutant(
        "a poison event is not cut out of its batch",
        "courier.py",
        "if refused and len(deliveries) > 1:",
        "if False:",
        "tests/test_courier.py",
    ),
    Mutant(
        "a sink's Retry-After is not heeded",
        "stages/deliver.py",
        'return Judgement("retry", reason, _retry_after(response, now))',
        'return Judgement("retry", reason, None)',
        f"{STAGES} -k 'retry or deliver'",
    ),
    Mutant(
        "a failing sink is not left alone",
        "worker.py",
        "pause, room = self._pause(), self._room()",
        "pause, room = 0.0, self.sink.limits.concurrency - self.under_way",
        "tests/test_worker.py",
    ),
    Mutant(
        "pages of others are answered in dev mode",
        "web/__init__.py",
        "if self._pipeline.config.dev and is_foreign(",
        "if False and is_foreign(",
        f"{WEB} -k 'dev or foreign'",
    ),
]


def main(words: list[str]) -> int:
    """Run them, and print the table. 0 if every one was missed."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    unmissed = []
    for mutant in chosen:
        began = time.monotonic()
        verdict = _try(mutant)
        print(f"{verdict:14}{time.monotonic() - began:6.1f} s  {mutant.name:50} {mutant.tests}", flush=True)
        unmissed += [mutant.name] if verdict != "missed" else []
    print(f"{len(chosen) - len(unmissed)} of {len(chosen)} guards are missed when they are gone")
    return 1 if unmissed else 0


def _try(mutant: Mutant) -> str:
    with tempfile.TemporaryDirectory(prefix="gateway-mutant-") as directory:
        copy = Path(directory)
        for name in ("gateway", "tests", "providers.d", "sinks.d", "schemas", "docs", "examples"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "Makefile"):
            shutil.copy(ROOT / name, copy / name)
        file = copy / "gateway" / mutant.file
        text = file.read_text()
        if text.count(mutant.guard) != 1:
            return f"{text.count(mutant.guard)} FOUND"
        if not _is_well(mutant.tests):
            return "FAILS ANYWAY"
        file.write_text(text.replace(mutant.guard, mutant.instead))
        return {0: "NOT MISSED", 1: "missed"}.get(found := _run(copy, mutant.tests), f"rc {found}")


def _run(root: Path, tests: str) -> int:
    """What pytest says of the package in a directory: 0 all is well, 1 something failed or never ended."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout", str(LONGEST), *shlex.split(tests)]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=LONGEST, check=False).returncode
    except subprocess.TimeoutExpired:
        return 1


@lru_cache
def _is_well(tests: str) -> bool:
    """Whether the tests pass with every guard in its place: else they would miss anything."""
    return _run(ROOT, tests) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
