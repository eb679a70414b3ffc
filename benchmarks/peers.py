"""
Side by side: the gateway and what people use in its place, on this machine in one run, with the same body and the same load.

`python -m benchmarks.peers [--peers DIR]` measures what is installed and says what is not: `prometheus-alertmanager`, `webhook`
(Debian's packages), Node-RED (`npm install node-red` in DIR), Alerta (in DIR a virtual environment `al` with gunicorn and
`alerta-server[postgres]`; and PostgreSQL). Each as a user installs it; beside its figure stands what it does before it answers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from . import files, stand, webhooks
from .load import Load

ROUNDS, COUNT = 3, 6_000
POSTGRES = "/usr/lib/postgresql/15/bin"


class Peer(Struct, frozen=True):
    """How one is started, where it takes webhooks, what it has done when it answers, and how many it is sent."""

    name: str
    does: str
    run: Callable[[Path, Path], Iterator[stand.Process]]
    path: str
    count: int = COUNT
    alerts: bool = False  # a bare list of alerts


class Missing(Exception):
    """It is not installed here."""


def _needs(*programs: str | Path) -> None:
    for program in programs:
        if not (Path(program).exists() or shutil.which(str(program))):
            raise Missing(f"{program} is not here")


def _started(root: Path, command: list[str], port: int, ready: str, **environment: str) -> stand.Process:
    return stand.Process(command, port, {**os.environ, **environment}, root / "log", ready)


def gateway(root: Path, peers: Path) -> Iterator[stand.Process]:
    """Ours, with two sinks that wait."""
    sinks = {name: files.sink(name, stand.NOWHERE) for name in ("s0", "s1")}
    with stand.gateway(root, files.write(root / "conf", sinks)) as process:
        yield process


def noop(root: Path, peers: Path) -> Iterator[stand.Process]:
    """The handler that does nothing."""
    with stand.noop() as process:
        yield process


def naive(root: Path, peers: Path) -> Iterator[stand.Process]:
    """What most people would write first."""
    with stand.naive() as process:
        yield process


def alertmanager(root: Path, peers: Path) -> Iterator[stand.Process]:
    """Prometheus Alertmanager, whose API takes a bare list of alerts."""
    _needs("prometheus-alertmanager")
    port = stand.free_port()
    (root / "am.yml").write_text("route: { receiver: none, group_wait: 1h }\nreceivers: [ { name: none } ]\n")
    command = ["prometheus-alertmanager", f"--config.file={root}/am.yml", f"--storage.path={root}/am"]
    yield _started(root, [*command, f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="], port, "/-/ready")


def webhook(root: Path, peers: Path) -> Iterator[stand.Process]:
    """adnanh/webhook, which checks the signature and runs a program."""
    _needs("webhook")
    port = stand.free_port()
    rule = {
        "match": {
            "type": "payload-hmac-sha256",
            "secret": webhooks.SECRET,
            "parameter": {"source": "header", "name": webhooks.HEADER},
        }
    }
    (root / "hooks.json").write_text(json.dumps([{"id": "bench", "execute-command": "/bin/true", "trigger-rule": rule}]))
    yield _started(root, ["webhook", "-hooks", f"{root}/hooks.json", "-ip", "127.0.0.1", "-port", str(port)], port, "/")


def node_red(root: Path, peers: Path) -> Iterator[stand.Process]:
    """Node-RED: http in, a function that maps, a file that is appended to, the answer."""
    red = peers / "node_modules" / "node-red" / "red.js"
    _needs("node", red)
    port = stand.free_port()
    maps = (
        "msg.events = msg.payload.alerts.map(a => ({action: a.status === 'firing' ? 'trigger' : 'resolve', "
        "dedup_key: a.fingerprint, severity: a.labels.severity, summary: a.annotations.summary, labels: a.labels}));"
        "msg.body = msg.payload; msg.payload = JSON.stringify(msg.events); msg.statusCode = 202; return msg;"
    )
    flow = [
        {"id": "t1", "type": "tab", "label": "bench"},
        {"id": "n1", "z": "t1", "type": "http in", "url": webhooks.PATH, "method": "post", "wires": [["n2"]]},
        {"id": "n2", "z": "t1", "type": "function", "func": maps, "outputs": 1, "wires": [["n3"]]},
        {
            "id": "n3",
            "z": "t1",
            "type": "file",
            "filename": f"{root}/events",
            "appendNewline": True,
            "overwriteFile": "false",
            "wires": [["n4"]],
        },
        {"id": "n4", "z": "t1", "type": "http response", "wires": []},
    ]
    (root / "flows.json").write_text(json.dumps(flow))
    (root / "settings.js").write_text(
        f"module.exports = {{uiPort: {port}, uiHost: '127.0.0.1', flowFile: '{root}/flows.json', httpAdminRoot: false}};"
    )
    yield _started(root, ["node", str(red), "-s", f"{root}/settings.js", "-u", str(root)], port, "/")


def alerta(root: Path, peers: Path) -> Iterator[stand.Process]:
    """Alerta with gunicorn's two workers over PostgreSQL."""
    binaries = peers / "al" / "bin"
    _needs(binaries / "gunicorn", binaries / "alertad", f"{POSTGRES}/initdb")
    port, database = stand.free_port(), stand.free_port()
    user = [] if os.getuid() else ["runuser", "-u", "postgres", "--"]  # PostgreSQL refuses to run as root
    data = Path(tempfile.mkdtemp(prefix="gateway-bench-pg-"))
    if user:
        shutil.chown(data, "postgres")
    subprocess.run([*user, f"{POSTGRES}/initdb", "-A", "trust", "-U", "postgres", "-D", data], check=True, capture_output=True)
    options = f"-p {database} -k {data} -c listen_addresses=127.0.0.1"
    subprocess.run(
        [*user, f"{POSTGRES}/pg_ctl", "-D", data, "-o", options, "-l", f"{data}/log", "-w", "start"],
        check=True,
        capture_output=True,
    )
    try:
        subprocess.run([f"{POSTGRES}/createdb", "-h", "127.0.0.1", "-p", str(database), "-U", "postgres", "alerta"], check=True)
        (root / "alertad.conf").write_text(
            f"DATABASE_URL='postgresql://postgres@127.0.0.1:{database}/alerta'\nDATABASE_NAME='alerta'\nSECRET_KEY='bench'\n"
            "AUTH_REQUIRED=False\nPLUGINS=[]\n"
        )
        (root / "wsgi.py").write_text("from alerta import create_app\napp = create_app()\n")
        command = [str(binaries / "gunicorn"), "-w", "2", "-b", f"127.0.0.1:{port}", "--chdir", str(root), "wsgi:app"]
        yield _started(root, command, port, "/", ALERTA_SVR_CONF_FILE=f"{root}/alertad.conf")
    finally:
        subprocess.run([*user, f"{POSTGRES}/pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False, capture_output=True)
        shutil.rmtree(data, ignore_errors=True)


PEERS = [
    Peer("this gateway", "signature, 2 events, incidents, 4 deliveries: synced to the disk", gateway, webhooks.PATH),
    Peer("a Litestar handler", "nothing", noop, webhooks.PATH),
    Peer("the naive way", "the same in one commit per webhook (benchmarks/naive.py)", naive, webhooks.PATH, 1_500),
    Peer("Alertmanager /api/v2/alerts", "keeps alerts in memory", alertmanager, "/api/v2/alerts", alerts=True),
    Peer("adnanh/webhook", "signature, starts /bin/true", webhook, "/hooks/bench", 3_000),
    Peer("Node-RED", "maps, appends to a file without a sync", node_red, webhooks.PATH, 3_000),
    Peer("Alerta", "stores in PostgreSQL, synced", alerta, "/webhooks/prometheus", 300),
]


@contextmanager
def _running(peer: Peer, peers: Path) -> Iterator[stand.Process]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        steps = peer.run(Path(directory), peers)
        process = next(steps)
        try:
            yield process
        finally:
            with suppress(Exception):
                process.stop()
            steps.close()  # type: ignore[attr-defined]  # it is a generator


def main() -> None:
    """Measure, and print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure the gateway beside others.")
    parser.add_argument("--peers", type=Path, default=Path("peers"), metavar="DIR", help="where node_modules and al/ are")
    peers = parser.parse_args().peers.absolute()
    print("| | webhooks/s | p99 ms | before it answers |\n| --- | ---: | ---: | --- |")
    for peer in PEERS:
        try:
            with _running(peer, peers) as process:
                time.sleep(3)  # some answer before they are ready
                stand.load(Load(port=process.port, first=10**9, count=100, path=peer.path, alerts=peer.alerts))
                found = [
                    stand.load(
                        Load(port=process.port, first=n * peer.count, count=peer.count, path=peer.path, alerts=peer.alerts)
                    )
                    for n in range(ROUNDS)
                ]
        except Missing as error:
            print(f"| {peer.name} | not measured: {error} | | {peer.does} |", flush=True)
            continue
        statuses = sorted({status for each in found for status in each.statuses})
        odd = "" if all(status[0] == "2" for status in statuses) else f" (answers: {', '.join(statuses)})"
        rate, p99 = statistics.median(each.per_second for each in found), statistics.median(each.p99 for each in found)
        print(f"| {peer.name} | {rate:,.0f} | {p99:.0f} | {peer.does}{odd} |", flush=True)


if __name__ == "__main__":
    main()
