"""The one HTTP client: what it never does, and what it says when something goes wrong. Real servers on loopback."""

import gzip
import ipaddress
import json
import socket
import threading
import time
import zlib

import anyio
import httpx2
import pytest
from loopback import SECRET, answering, failed, http, sent, server

from gateway import transport
from gateway.errors import Undelivered
from gateway.model import Request, Response
from gateway.outbound import LARGEST_ANSWER, USER_AGENT, Client
from gateway.transport import refuses


def test_a_request_goes_out_as_it_is_and_its_answer_comes_back():
    heard = []
    with server(answering(http(b'{"a": 1}', headers="X-Twice: 1\r\nX-Twice: 2\r\n"), heard)) as port:
        response = sent(f"http://127.0.0.1:{port}/in?k={SECRET}", headers={"X-Id": "e1"}, content=b"body")
    headers = {"content-length": "8", "connection": "close", "x-twice": "1, 2"}
    assert response == Response(status=200, headers=headers, text='{"a": 1}', json={"a": 1})
    head, _, body = heard[0].decode().partition("\r\n\r\n")
    assert body == "body"
    assert sorted(head.lower().split("\r\n")) == sorted(
        [
            f"post /in?k={SECRET} http/1.1",
            f"host: 127.0.0.1:{port}",
            "accept: */*",
            "accept-encoding: identity",
            f"user-agent: {USER_AGENT}",
            "x-id: e1",
            "content-length: 4",
        ]
    )


def test_a_redirect_is_not_followed():
    heard = []
    with server(answering(http(), heard)) as target:
        to = f"Location: http://127.0.0.1:{target}/x\r\n"
        with server(answering(http(status="307 Temporary Redirect", headers=to))) as port:
            assert sent(f"http://127.0.0.1:{port}/").status == 307
    assert heard == []


def test_proxy_variables_are_not_minded(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with server(answering(http(b"direct"))) as port:
        assert sent(f"http://127.0.0.1:{port}/").text == "direct"


@pytest.mark.parametrize(
    "body, headers, text",
    [
        (b"x" * (LARGEST_ANSWER + 5), "", "x" * LARGEST_ANSWER),
        (gzip.compress(b'{"a":1}'), "Content-Encoding: gzip\r\n", '{"a":1}'),
        (zlib.compress(b"plain"), "Content-Encoding: deflate\r\n", "plain"),
        (gzip.compress(b"0" * 50_000_000), "Content-Encoding: gzip\r\n", "0" * LARGEST_ANSWER),
        (b"no gzip", "Content-Encoding: gzip\r\n", "no gzip"),
        ("é".encode("latin-1"), "Content-Type: text/plain; charset=latin-1\r\n", "é"),
        ("é".encode(), "Content-Type: text/plain; charset=nonsense\r\n", "é"),
        (b"a\xff", "", "a\ufffd"),
    ],
)
def test_no_more_than_a_mebibyte_of_an_answer_is_read_however_it_is_written(body, headers, text):
    with server(answering(http(body, headers=headers))) as port:
        assert sent(f"http://127.0.0.1:{port}/").text == text


@pytest.mark.parametrize(
    "charset, body",
    [
        ("utf-7", b"+2AA-"),  # half a character, which no database takes
        ("unicode_escape", b"\\ud800"),
        ("punycode", b"b" * LARGEST_ANSWER),  # minutes, and nothing else happens meanwhile
        ("idna", b"xn--a"),
        ("rot13", b"uello"),
    ],
)
def test_a_charset_that_no_page_is_written_in_is_passed_over(charset, body):
    with server(answering(http(body, headers=f"Content-Type: text/plain; charset={charset}\r\n"))) as port:
        began = time.monotonic()
        assert sent(f"http://127.0.0.1:{port}/").text == body.decode()
        assert time.monotonic() - began < 2.0


def test_an_answer_without_end_is_cut_off_and_not_waited_for():
    def pour(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with server(pour) as port:
        assert sent(f"http://127.0.0.1:{port}/").text == "x" * LARGEST_ANSWER


def test_json_that_is_nested_too_deep_or_is_none_is_no_json():
    for body in (b"[" * 200_000, b"<html>", b"", b"NaN"):
        with server(answering(http(body))) as port:
            assert sent(f"http://127.0.0.1:{port}/").json is None


def drip(connection):
    """Answers a byte at a time: each one in time, all of them never."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def test_the_timeout_holds_for_all_of_it_and_not_for_each_byte():
    for talk in (drip, lambda connection: time.sleep(3)):
        with server(talk) as port:
            began = time.monotonic()
            assert failed(f"http://127.0.0.1:{port}/{SECRET}", timeout=0.4) == ("no answer within 0.4 s", "timeout", True)
            assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("scheme, unknown", [("http", True), ("https", False)])
def test_what_was_never_sent_cannot_have_arrived(scheme, unknown):
    """A server that takes connections and says nothing: over TLS there is no word before its own."""
    with server(lambda connection: time.sleep(2)) as port, pytest.raises(Undelivered) as caught:
        sent(f"{scheme}://127.0.0.1:{port}/{SECRET}", timeout=0.4)
    assert (str(caught.value), caught.value.unknown) == ("no answer within 0.4 s", unknown)


def test_a_connection_that_is_refused_says_so():
    with server(answering(b"")) as port:
        pass
    assert failed(f"http://127.0.0.1:{port}/{SECRET}") == ("no connection: connection refused", "connect", True)


def test_a_name_that_cannot_be_resolved_is_named():
    wanted = "no connection: the name 'nowhere.invalid' cannot be resolved", "connect", True
    assert failed(f"http://user:{SECRET}@nowhere.invalid/{SECRET}") == wanted


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "the connection broke: it was closed before an answer came"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not HTTP: bad status line"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
            "the connection broke: the answer broke off",
        ),
    ],
)
def test_an_answer_that_is_none_says_so(content, said):
    with server(answering(content)) as port:
        assert failed(f"http://127.0.0.1:{port}/{SECRET}") == (said, "connect", True)


@pytest.mark.parametrize(
    "url, headers, kind",
    [
        (f"http://127.0.0.1:99999/{SECRET}", {}, "InvalidURL"),
        (f"http://[::1/{SECRET}", {}, "InvalidURL"),
        ("http://0251.0376.0251.0376/", {}, "InvalidURL"),
        (f"ftp://127.0.0.1/{SECRET}", {}, "UnsupportedProtocol"),
        (f"/{SECRET}", {}, "UnsupportedProtocol"),
        ("http://127.0.0.1:9/", {"Authorization": f"Bearer {SECRET}\n"}, "LocalProtocolError"),
        ("http://127.0.0.1:9/", {"Authorization": f"Bearer {SECRET}é"}, "UnicodeEncodeError"),
    ],
)
def test_a_request_that_cannot_be_sent_is_not_tried_again(url, headers, kind):
    message = f"this request cannot be sent, its address or a header is malformed ({kind})"
    with server(answering(http())) as port:
        assert failed(url.replace(":9/", f":{port}/"), headers=headers) == (message, "unsendable", False)


METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "0.0.0.0",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:5601:5601",
]


@pytest.mark.parametrize("address", METADATA)
def test_link_local_and_metadata_addresses_are_refused_in_whatever_form(address):
    assert refuses(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "fd00::1", "8.8.8.8", "::ffff:10.0.0.1"]
)
def test_private_addresses_are_where_sinks_live(address):
    assert not refuses(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host, shown",
    [
        ("169.254.169.254", "169.254.169.254"),
        ("2852039166", "169.254.169.254"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("169.16689662", "169.254.169.254"),
        ("[::ffff:a9fe:a9fe]", "::ffff:a9fe:a9fe"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
        ("0", "0.0.0.0"),
    ],
)
def test_nothing_is_sent_to_a_metadata_address_however_the_host_is_spelt(host, shown):
    message = f"no connection: {shown} is an address that nothing is sent to"
    assert failed(f"http://{host}/latest/{SECRET}", timeout=2.0) == (message, "connect", True)


def test_a_name_that_changes_its_mind_after_it_was_looked_at_is_refused_all_the_same(monkeypatch):
    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        return [{"hostname": host, "host": "169.254.169.254", "port": port, "family": socket.AF_INET, "proto": 6, "flags": 0}]

    monkeypatch.setattr(transport._Resolver, "resolve", resolve)
    assert "169.254.169.254 is an address that nothing is sent to" in str(failed("http://changes.test/"))


async def sent_beside(others, port, timeout):
    """What a request to our own port is answered while requests to these addresses are under way, and how many of them fail."""
    client, failures = Client(), []

    async def send(url):
        try:
            return await client.send(Request(method="POST", url=url, headers={}), timeout=timeout)
        except Undelivered as error:
            failures.append(str(error))

    try:
        async with anyio.create_task_group() as tasks:
            for url in others:
                tasks.start_soon(send, url)
            await anyio.sleep(0.5)
            response = await send(f"http://localhost:{port}/")
            tasks.cancel_scope.cancel()
        return response, failures
    finally:
        await client.close()


@pytest.mark.parametrize("names", [["silent.test"] * 50, [f"silent-{number}.test" for number in range(50)]])
def test_names_that_nobody_resolves_hold_up_no_other(monkeypatch, names):
    resolve, asked, over = socket.getaddrinfo, [], threading.Event()

    def resolve_or_not(host, *more, **named):
        if str(host).startswith("silent"):
            asked.append(host)
            over.wait(20.0)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_or_not)
    try:
        with server(answering(http(b"prompt"))) as port:
            response, failures = anyio.run(sent_beside, [f"http://{name}/" for name in names], port, 3.0)
    finally:
        over.set()
    assert (response.text, failures) == ("prompt", [])
    assert sorted(asked) == sorted(set(names))  # who asks for a name that is being asked for waits for that answer


def test_however_many_requests_hang_another_goes_out():
    over = threading.Event()
    with server(lambda connection: over.wait(20.0)) as hanging, server(answering(http(b"prompt"))) as port:
        response, failures = anyio.run(sent_beside, [f"http://127.0.0.1:{hanging}/"] * 300, port, 5.0)
        over.set()
    assert (response.text, failures) == ("prompt", [])


def test_a_scripted_transport_takes_the_networks_place():
    async def go():
        client = Client(httpx2.MockTransport(lambda request: httpx2.Response(201, json=json.loads(request.content))))
        return await client.send(Request(method="PUT", url="http://x.test", headers={}, content=b"[1]"), timeout=1)

    headers = {"content-length": "3", "content-type": "application/json"}
    assert anyio.run(go) == Response(status=201, headers=headers, text="[1]", json=[1])


@pytest.mark.parametrize("size", [0, 1, 512 * 1024, 512 * 1024 + 1, 3 << 20])
def test_a_body_of_any_size_goes_with_its_length_and_never_in_chunks(size):
    heard = []
    with server(answering(http(), heard)) as port:
        sent(f"http://127.0.0.1:{port}/", content=b"x" * size)
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert f"content-length: {size}".encode() in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert body == b"x" * size
