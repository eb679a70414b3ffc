"""Mail, syslog and NATS, against real servers where they are installed: what arrives, and what is said where it does not."""

from __future__ import annotations

import email
import email.policy
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import anyio
import nats
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from loopback import server
from test_outbound_tls import pki
from trips import delivery, unheard

from gateway.beyond import sender
from gateway.config import load
from gateway.courier import bring
from gateway.errors import Undelivered
from gateway.model import Request
from gateway.outbound import Client
from gateway.values import Tls

__all__ = ["pki"]  # a fixture
MAIL = {
    "from": "gateway@ops.example",
    "to": ["a@ops.example", "b@ops.example"],
    "subject": "Instance db-1 is down",
    "text": "It is.",
}
BASIC = {"Authorization": "Basic dXM6aHVudGVyMjI="}  # us:hunter22


def sent(url, body, headers=None, tls=None, timeout=5.0):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def go():
        client = Client()
        try:
            request = Request(method="POST", url=url, headers=headers or {}, content=content)
            return await client.send(request, timeout=timeout, tls=tls)
        finally:
            await client.close()

    return anyio.run(go)


def failed(*what, **how):
    with pytest.raises(Undelivered) as caught:
        sent(*what, **how)
    error = caught.value
    assert "hunter22" not in str(error)
    return str(error), error.reason, error.retryable, error.unknown


class Mailbox:
    """Keeps what comes in; refuses recipients by the number in front of their names, and everything while it is told to."""

    def __init__(self):
        self.mails, self.users, self.on_data = [], [], None

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        code = address.partition("-")[0]
        if code.isdigit():
            return f"{code} no {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.on_data is not None:
            return self.on_data
        self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return "250 2.0.0 kept as 17"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.users.append((data.login, data.password))
        return AuthResult(success=data.password == b"hunter22", handled=False)


@contextmanager
def mail_server(**options):
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, authenticator=box.authenticate, **options)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def test_a_mail_arrives_as_it_was_said():
    with mail_server() as (box, port):
        mail = MAIL | {
            "subject": "Größe\nder Platte",
            "text": "ä\n.\nend",
            "html": "<b>ä</b>",
            "message_id": "e1@gw",
            "in_reply_to": "i1@gw",
        }
        answer = sent(f"smtp://127.0.0.1:{port}", mail)
    assert (answer.status, answer.text, answer.json) == (250, "2.0.0 kept as 17", {"refused": {}})
    ((sender_, recipients, content),) = box.mails
    assert (sender_, recipients) == ("gateway@ops.example", ["a@ops.example", "b@ops.example"])
    read = email.message_from_bytes(content, policy=email.policy.default)
    told = {name: read[name] for name in ("From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted")}
    assert told == {
        "From": "gateway@ops.example",
        "To": "a@ops.example, b@ops.example",
        "Subject": "Größe der Platte",
        "Message-ID": "<e1@gw>",
        "In-Reply-To": "<i1@gw>",
        "References": "<i1@gw>",
        "Auto-Submitted": "auto-generated",
    }
    assert read["Date"] is not None
    assert read.get_body(("plain",)).get_content() == "ä\r\n.\r\nend\r\n"
    assert read.get_body(("html",)).get_content() == "<b>ä</b>\r\n"


def brought(name, environment, *deliveries):
    """What the shipped sink of this name makes of these, over the network."""
    config = load(None, environment)
    assert name in config.sinks, config.off.get(name)

    async def go():
        client = Client()
        try:
            return await bring(config, client, name, deliveries, say=unheard)
        finally:
            await client.close()

    return [(result.state, result.verdict) for result in anyio.run(go)]


def test_the_shipped_mail_arrives_and_a_recipient_that_is_refused_is_a_dead_letter():
    with mail_server() as (box, port):
        given = {"EMAIL_URL": f"smtp://127.0.0.1:{port}", "EMAIL_FROM": "gw@ops.example", "EMAIL_TO": "a@ops.example"}
        assert brought("email", given, delivery(summary="it is down")) == [("delivered", "answered 250")]
        given["EMAIL_TO"] += ",550-gone@ops.example"
        assert brought("email", given, delivery(2)) == [("dead", "answered 250; rules[1] says dead")]
    subjects = [email.message_from_bytes(content)["Subject"] for _, _, content in box.mails]
    assert subjects == ["[ERROR] it is down", "[ERROR] s2"]


def test_recipients_that_are_refused_are_named_in_the_answer():
    with mail_server() as (box, port):
        answer = sent(
            f"smtp://127.0.0.1:{port}", MAIL | {"to": ["a@ops.example", "550-gone@ops.example", "451-full@ops.example"]}
        )
    assert answer.json == {
        "refused": {
            "550-gone@ops.example": {"status": 550, "text": "no 550-gone@ops.example"},
            "451-full@ops.example": {"status": 451, "text": "no 451-full@ops.example"},
        }
    }
    assert [recipients for _, recipients, _ in box.mails] == [["a@ops.example"]]


@pytest.mark.parametrize(
    "to, on_data, said, retryable",
    [
        (["550-a@x.example"], None, "550 550-a@x.example: no 550-a@x.example", False),
        (["550-a@x.example", "451-b@x.example"], None, "550 550-a@x.example: no 550-a@x.example; 451 451-b@x.example: no 451-b@x.example", True),
        (["a@x.example"], "451 4.3.0 try later", "451 4.3.0 try later", True),
        (["a@x.example"], "554 5.7.1 no", "554 5.7.1 no", False),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_tried_again_where_it_says_so(to, on_data, said, retryable):
    with mail_server() as (box, port):
        box.on_data = on_data
        came = failed(f"smtp://127.0.0.1:{port}", MAIL | {"to": to})
    assert came == (f"the server refuses it: {said}", "refused", retryable, False)
    assert box.mails == []


def server_side(pki):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki / "server.pem")
    return context


def test_a_password_goes_over_tls_only(pki):
    ours = Tls(ca_file=str(pki / "ca.pem"))
    with mail_server(tls_context=server_side(pki)) as (box, port):
        assert sent(f"smtp://127.0.0.1:{port}", MAIL, BASIC, ours).status == 250
    assert box.users == [(b"us", b"hunter22")]
    with mail_server(ssl_context=server_side(pki), auth_require_tls=False) as (box, port):
        assert sent(f"smtps://127.0.0.1:{port}", MAIL, BASIC, ours).status == 250
        wrong = {"Authorization": "Basic dXM6d3Jvbmc="}
        text, *rest = failed(f"smtps://127.0.0.1:{port}", MAIL, wrong, ours)
        assert (text, rest) == ("the server refuses us: 535", ["credentials", False, False])
        assert failed(f"smtps://127.0.0.1:{port}", MAIL, BASIC)[1:] == ("connect", True, False)
    with mail_server() as (box, port):
        said = "the server offers no TLS, and a password goes over nothing else"
        assert failed(f"smtp://127.0.0.1:{port}", MAIL, BASIC) == (said, "tls", False, False)
    assert (box.users, box.mails) == ([], [])


@pytest.mark.parametrize(
    "body, said",
    [
        ({"to": []}, "this cannot be sent: request.json: Object missing required field `from`"),
        (MAIL | {"bcc": "x"}, "this cannot be sent: request.json: Object contains unknown field `bcc`"),
        (MAIL | {"message_id": "a>\r\nX-Evil: 1"}, "this cannot be sent: request.json: a header cannot be written: "),
        (MAIL | {"message_id": "["}, "this cannot be sent: request.json: a header cannot be written: "),
        (MAIL | {"to": []}, "this cannot be sent: request.json: `to` names nobody"),
        (MAIL | {"to": ["a@x.test, evil@x.test"]}, "this cannot be sent: request.json: 'a@x.test, evil@x.test' is no address; "),
        (
            MAIL | {"to": ["<evil@x.test> a@x.test"]},
            "this cannot be sent: request.json: '<evil@x.test> a@x.test' is no address; ",
        ),
        (MAIL | {"to": ["a@x.test\r\nRCPT TO:<evil@x.test>"]}, "this cannot be sent: request.json: "),
        (MAIL | {"from": "nobody"}, "this cannot be sent: request.json: 'nobody' is no address; write it bare: ops@example.com"),
    ],
)
def test_a_mail_that_is_none_is_not_sent(body, said):
    with mail_server() as (box, port):
        text, *rest = failed(f"smtp://127.0.0.1:{port}", body)
    assert (text.startswith(said), rest, box.mails) == (True, ["unsendable", False, False], [])


def test_nobody_there_and_places_nothing_is_sent_to():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"smtp://127.0.0.1:{port}", f"syslog+tcp://localhost:{port}", f"nats://127.0.0.1:{port}/a"):
        body = MAIL if url.startswith("smtp") else {"message": "x"}
        assert failed(url, body) == ("no connection: connection refused", "connect", True, False)
    for url in ("smtp://169.254.169.254", "syslog+udp://169.254.169.254", "nats://[fd00:ec2::254]/a"):
        body = MAIL if url.startswith("smtp") else {"message": "x"}
        text, reason, *_ = failed(url, body)
        assert (text.endswith("is an address that nothing is sent to"), reason) == (True, "connect")
    assert failed("smtp://us:hunter22@127.0.0.1", MAIL)[0] == (
        "this cannot be sent: a name and a password stand in `auth`, not in the address"
    )


@contextmanager
def over_tls(scheme, context):
    """A server that speaks TLS with this context as this scheme has it; no more than it takes to begin."""
    if scheme == "smtp":
        with mail_server(tls_context=context) as (_, port):
            yield port
    else:
        before = INFO % b'"tls_required":true' if scheme == "nats+tls" else b""
        with deaf(context, b"220 hi\r\n", before) as (port, _):
            yield port


SPOKEN = {"smtp": ("", MAIL), "smtps": ("", MAIL), "syslog+tls": ("", {"message": "x"}), "nats+tls": ("/a", {})}


@pytest.mark.parametrize("scheme", SPOKEN)
def test_a_certificate_that_is_not_accepted_is_told_in_the_words_of_http(pki, scheme):
    path, body = SPOKEN[scheme]
    hint = "; name the authority that signed it in tls.ca_file"
    with over_tls(scheme, server_side(pki)) as port:
        said = f"its certificate is not accepted: unable to get local issuer certificate{hint}"
        assert failed(f"{scheme}://127.0.0.1:{port}{path}", body) == (said, "connect", True, False)
        said = "its certificate is not accepted: Hostname mismatch, certificate is not valid for 'localhost'."
        ours = Tls(ca_file=str(pki / "ca.pem"))
        assert failed(f"{scheme}://localhost:{port}{path}", body, tls=ours) == (said, "connect", True, False)


@pytest.mark.parametrize("scheme, plain", [("smtps", "smtp"), ("syslog+tls", "syslog+tcp")])
def test_tls_to_a_plain_port_says_which_address_it_probably_is(scheme, plain):
    _, body = SPOKEN[scheme]
    with deaf(says=b"220 hello there\r\n") as (port, _):
        said = f"the TLS handshake failed: wrong version number; is it {plain} rather than {scheme}?"
        assert failed(f"{scheme}://127.0.0.1:{port}", body) == (said, "connect", True, False)


def test_a_mail_server_that_wants_our_certificate_says_so(pki):
    mutual = server_side(pki)
    mutual.load_verify_locations(pki / "ca.pem")
    mutual.verify_mode = ssl.CERT_REQUIRED
    hint = "it wants a certificate of ours: set tls.client_cert"
    with server(lambda connection: connection.sendall(b"220 hi\r\n"), mutual) as port:
        came = failed(f"smtps://127.0.0.1:{port}", MAIL, tls=Tls(ca_file=str(pki / "ca.pem")))
    assert came == (f"the TLS handshake failed: tlsv13 alert certificate required; {hint}", "connect", True, False)


@pytest.mark.parametrize(
    "url, says, said",
    [
        ("smtp", b"", "the connection broke: Unexpected EOF received"),
        ("smtps", b"", "the connection broke: Unexpected EOF received"),
        ("smtp", b"220 hi\r\n", "the connection broke: Unexpected EOF received"),
        ("nats", b"", "the connection broke: nats: empty response from server when expecting INFO message"),
    ],
)
def test_a_server_that_leaves_before_anything_was_sent(pki, url, says, said):
    path, body = SPOKEN.get(url, ("/a", {}))
    context = server_side(pki) if url == "smtps" else None

    def talk(connection):
        connection.sendall(says)
        if says:
            connection.recv(1000)  # what is not read makes a reset of the end

    with server(talk, context) as port:
        came = failed(f"{url}://127.0.0.1:{port}{path}", body, tls=Tls(ca_file=str(pki / "ca.pem")))
    assert came == (said, "connect", True, False)


def test_a_subject_of_any_length_is_cut():
    with mail_server() as (box, port):
        began = time.monotonic()
        assert sent(f"smtp://127.0.0.1:{port}", MAIL | {"subject": "ä" * 65_536}).status == 250
    assert time.monotonic() - began < 2
    assert email.message_from_bytes(box.mails[0][2], policy=email.policy.default)["Subject"] == "ä" * 1000


@contextmanager
def deaf(context=None, says=b"", plain=b""):
    """Takes connections, says something (`plain`: before TLS), and keeps what it hears of the first 64 KiB; closes nothing."""
    kept, heard = [], []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def serve():
            while True:
                try:
                    made, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError):
                    made.sendall(plain)
                    made = context.wrap_socket(made, server_side=True) if context else made
                    kept.append(made)
                    made.sendall(says)
                    made.settimeout(0.5)
                    heard.append(made.recv(65536))

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            for made in kept:
                made.close()


@pytest.mark.parametrize("framing", ["octets", "newline"])
def test_a_receiver_that_stops_reading_is_given_up_in_time(framing):
    with deaf() as (port, _):
        began = time.monotonic()
        url = f"syslog+tcp://127.0.0.1:{port}?framing={framing}"
        assert failed(url, {"message": "x" * 8_000_000}, timeout=0.5) == ("no answer within 0.5 s", "timeout", True, True)
        assert time.monotonic() - began < 3


def test_a_receiver_that_does_not_say_goodbye_has_the_line_all_the_same(pki):
    with deaf(server_side(pki)) as (port, heard):
        assert sent(f"syslog+tls://127.0.0.1:{port}", LINE, tls=Tls(ca_file=str(pki / "ca.pem"))).status == 200
        until(lambda: heard)
    assert heard[0].endswith(WRITTEN)


INFO = b'INFO {"server_id":"x","version":"2.9.10","headers":true,"max_payload":1048576,%b}\r\n'


def test_no_password_goes_to_a_server_that_does_not_ask_for_tls():
    with deaf(says=INFO % b'"auth_required":true') as (port, heard):
        said = "the server does not ask for TLS, and nats+tls sends nothing without"
        assert failed(f"nats+tls://127.0.0.1:{port}/a", {}, BASIC) == (said, "tls", False, False)
    assert b"hunter22" not in b"".join(heard)


def test_a_server_that_says_nothing_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        assert failed(f"smtp://127.0.0.1:{port}", MAIL, timeout=0.3) == ("no answer within 0.3 s", "timeout", True, True)
        assert time.monotonic() - began < 2


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gateway.beyond.mail", None)
    with pytest.raises(Undelivered) as caught:
        sender("smtp://mail.example")
    assert str(caught.value) == "smtp needs a library that is not installed: pip install 'webhook-gateway[mail]'"
    assert sender("https://x.example") is None


# RFC 5424, section 6.5, example 1 to 3 have these forms; the escapes are those of 6.3.3.
LINE = {
    "facility": "auth",
    "severity": "crit",
    "time": "2003-10-11T22:14:15.003Z",
    "host": "mymachine.example.com",
    "app": "su",
    "kind": "ID47",
    "message": "'su root' failed for lonvick on /dev/pts/8",
}
WRITTEN = b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed for lonvick on /dev/pts/8"


@contextmanager
def listening(context=None):
    """A TCP port that keeps what comes on each connection."""
    heard, done = [], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):
                made, _ = listener.accept()
                made = context.wrap_socket(made, server_side=True) if context else made
                with made:
                    while more := made.recv(65536):
                        heard.append(more)
            done.set()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], heard, done


def over_tcp(url, line, context=None, tls=None):
    with listening(context) as (port, heard, done):
        answer = sent(url.format(port), line, tls=tls)
        assert done.wait(5)
    assert (answer.status, answer.text) == (200, "written; nobody confirms it")
    return b"".join(heard)


@pytest.mark.parametrize(
    "change, written",
    [
        ({}, WRITTEN),
        ({"data": {"exampleSDID@32473": {"iut": "3", "eventSource": 'a "b" \\ ]'}}}, WRITTEN.replace(b"ID47 -", b'ID47 [exampleSDID@32473 iut="3" eventSource="a \\"b\\" \\\\ \\]"]')),
        ({"data": {"a b=]": {'x"y': "1"}, "c": {}}}, WRITTEN.replace(b"ID47 -", b'ID47 [a_b__ x_y="1"][c]')),
        ({"host": "", "app": "ä b\n", "kind": "k" * 40}, WRITTEN.replace(b"mymachine.example.com su - ID47", b"- _b_ - " + b"k" * 32)),
        ({"message": "größer"}, WRITTEN.partition(b"'su")[0] + "größer".encode()),
        ({"facility": "local7", "severity": "debug"}, WRITTEN.replace(b"<34>", b"<191>")),
    ],
)  # fmt: skip
def test_a_line_is_written_as_the_rfc_has_it_and_counted(change, written):
    assert over_tcp("syslog+tcp://127.0.0.1:{}", LINE | change) == str(len(written)).encode() + b" " + written


def test_a_line_for_receivers_of_lines_has_one_end():
    framed = over_tcp("syslog+tcp://127.0.0.1:{}?framing=newline", LINE | {"message": "a\nb"})
    assert framed == WRITTEN.partition(b"'su")[0] + b"a b\n"


def test_a_line_over_tls(pki):
    framed = over_tcp("syslog+tls://127.0.0.1:{}", LINE, server_side(pki), Tls(ca_file=str(pki / "ca.pem")))
    assert framed == str(len(WRITTEN)).encode() + b" " + WRITTEN
    with listening(server_side(pki)) as (port, heard, _):
        text, reason, *_ = failed(f"syslog+tls://127.0.0.1:{port}", LINE)
        assert (text.startswith("its certificate is not accepted: "), reason, heard) == (True, "connect", [])


def test_a_line_in_a_datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        url = f"syslog+udp://127.0.0.1:{receiver.getsockname()[1]}"
        assert sent(url, LINE).status == 200
        assert receiver.recv(65536) == WRITTEN
        said = "this cannot be sent: 70105 bytes are more than a datagram holds; send it over TCP"
        text, *_ = failed(url, LINE | {"message": "x" * (70_105 - len(WRITTEN) + len(LINE["message"]))})
        assert text == said


@pytest.mark.parametrize(
    "line, said",
    [
        (LINE | {"severity": "error"}, "request.json: there is no facility auth with a severity error"),
        ({"severity": "err"}, "request.json: Object missing required field `message`"),
    ],
)
def test_a_line_that_is_none_is_not_sent(line, said):
    assert failed("syslog+udp://127.0.0.1:9", line) == (f"this cannot be sent: {said}", "unsendable", False, False)


@pytest.mark.skipif(shutil.which("syslog-ng") is None, reason="syslog-ng is not installed: apt-get install syslog-ng-core")
def test_a_real_syslog_server_reads_it_as_it_was_meant(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "s.conf").write_text(
        "@version: 3.38\noptions { keep-hostname(yes); };\n"
        f'source s {{ syslog(transport("tcp") ip("127.0.0.1") port({port})); }};\n'
        'template t { template("${LEVEL}|${FACILITY}|${HOST}|${PROGRAM}|${MSGID}|${.SDATA.alert@32473.note}|${MESSAGE}\\n"); };\n'
        f'destination d {{ file("{tmp_path}/out" template(t)); }};\nlog {{ source(s); destination(d); }};\n'
    )
    files = [f"--{name}={tmp_path}/{name}" for name in ("persist-file", "control", "pidfile")]
    server = subprocess.Popen(["syslog-ng", "-F", "-f", tmp_path / "s.conf", *files], stderr=subprocess.DEVNULL)
    try:
        until(lambda: reachable(port))
        line = LINE | {"data": {"alert@32473": {"note": 'say "no" [or]'}}, "message": "größer"}
        assert sent(f"syslog+tcp://127.0.0.1:{port}", line).status == 200
        until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text().endswith("\n"))
    finally:
        server.terminate()
        server.wait(10)
    assert (tmp_path / "out").read_text() == 'crit|auth|mymachine.example.com|su|ID47|say "no" [or]|größer\n'


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not come to that in 10 s"
        time.sleep(0.05)


def reachable(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def nats_server(tmp_path):
    if shutil.which("nats-server") is None:
        pytest.skip("nats-server is not installed: apt-get install nats-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", tmp_path, "--user", "us", "--pass", "hunter22"]
    server = subprocess.Popen(["nats-server", *options], stderr=subprocess.DEVNULL)
    until(lambda: reachable(port))
    yield port
    server.terminate()
    server.wait(10)


def in_stream(port):
    async def go():
        client = await nats.connect(f"nats://us:hunter22@127.0.0.1:{port}")
        try:
            await client.jetstream().add_stream(name="ALERTS", subjects=["alerts.>"])
        finally:
            await client.close()

    anyio.run(go)


def kept(port, seq):
    async def go():
        client = await nats.connect(f"nats://us:hunter22@127.0.0.1:{port}")
        try:
            found = await client.jetstream().get_msg("ALERTS", seq=seq)
            return found.subject, found.data, found.headers
        finally:
            await client.close()

    return anyio.run(go)


def test_a_message_is_stored_once_by_a_stream_that_says_so(nats_server):
    in_stream(nats_server)
    url, headers = (
        f"nats://127.0.0.1:{nats_server}/alerts.critical",
        {**BASIC, "Nats-Msg-Id": "e1", "Content-Type": "application/json"},
    )
    first, again = sent(url, {"summary": "ä"}, headers), sent(url, {"summary": "ä"}, headers)
    assert (first.status, first.json) == (200, {"stream": "ALERTS", "seq": 1, "duplicate": False})
    assert again.json == {"stream": "ALERTS", "seq": 1, "duplicate": True}
    assert kept(nats_server, 1) == ("alerts.critical", b'{"summary": "\\u00e4"}', {"Nats-Msg-Id": "e1"})


def test_the_shipped_sink_has_an_event_stored_once(nats_server):
    in_stream(nats_server)
    given = {"NATS_URL": f"nats://127.0.0.1:{nats_server}", "NATS_USER": "us", "NATS_PASSWORD": "hunter22"}
    assert brought("nats", given, delivery(), delivery()) == [("delivered", "answered 200")] * 2
    subject, body, headers = kept(nats_server, 1)
    assert (subject, json.loads(body)["summary"], headers) == ("alerts.p.trigger", "s1", {"Nats-Msg-Id": "e1"})
    given["NATS_PASSWORD"] = "wrong"
    ((state, verdict),) = brought("nats", given, delivery(2))
    assert (state, verdict) == ("parked", "the server refuses us: authorization violation; parked until it is mended")


def test_what_no_stream_would_keep_is_not_lost(nats_server):
    url = f"nats://127.0.0.1:{nats_server}"
    assert failed(f"{url}/nobody", {}, BASIC) == ("no stream keeps the subject nobody", "credentials", False, False)
    assert failed(f"{url}/nobody", {})[1:] == ("credentials", False, False)
    assert failed(f"{url}/a b", {}, BASIC)[0] == (
        "this cannot be sent: the path of its address is the subject: nats://host/alerts.critical"
    )
