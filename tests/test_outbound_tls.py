"""TLS to sinks: authorities, our own certificate, and messages that say what to mend. Certificates are made here by openssl."""

import ssl
import subprocess
from contextlib import contextmanager

import anyio
import pytest
from loopback import SECRET, answering, failed, http, sent, server
from trips import delivery, sink, unheard

from gateway.config import Config
from gateway.config.schema import Settings
from gateway.courier import bring
from gateway.errors import Undelivered
from gateway.outbound import Client
from gateway.values import Reference, Secrets, Tls

CA = ("-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Two authorities; a server's and a client's certificate by the first, a client's by the second, each with its key."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("ca", "other"):
        openssl(folder, "req", *CA, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    for name, by in (("server", "ca"), ("client", "ca"), ("stranger", "other")):
        more = ["-addext", "subjectAltName=IP:127.0.0.1", "-CA", f"{by}.pem", "-CAkey", f"{by}.key"]
        openssl(folder, "req", *CA, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", *more)
        (folder / f"{name}.pem").write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())
    openssl(folder, "ec", "-aes256", "-passout", "pass:x", "-in", "client.key", "-out", "locked.key")
    (folder / "locked.pem").write_text((folder / "client.crt").read_text() + (folder / "locked.key").read_text())
    return folder


@contextmanager
def https(pki, *, mutual=False):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki / "ca.pem")
    context.load_cert_chain(pki / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    with server(answering(http(b"ok")), context) as port:
        yield f"https://127.0.0.1:{port}/{SECRET}"


def test_a_certificate_is_checked_against_the_authorities_of_the_file(pki):
    with https(pki) as url:
        assert sent(url, tls=Tls(ca_file=str(pki / "ca.pem"))).text == "ok"
        assert sent(url, tls=Tls(verify=False)).text == "ok"


@pytest.mark.parametrize("tls", [None, Tls(), "other.pem"])
def test_a_certificate_of_an_authority_we_do_not_know_is_refused_with_a_hint(pki, tls):
    tls = Tls(ca_file=str(pki / tls)) if isinstance(tls, str) else tls
    message = "its certificate is not accepted: self-signed certificate in certificate chain; name the authority that signed it in tls.ca_file"
    with https(pki) as url:
        assert failed(url, tls=tls) == (message, "connect", True)


def test_a_certificate_for_another_name_is_refused_without_that_hint(pki):
    message = "its certificate is not accepted: Hostname mismatch, certificate is not valid for 'localhost'."
    with https(pki) as url:
        assert failed(url.replace("127.0.0.1", "localhost"), tls=Tls(ca_file=str(pki / "ca.pem"))) == (message, "connect", True)


def test_https_to_a_plain_port_says_what_it_probably_is():
    def talk(connection):
        connection.recv(10)
        connection.sendall(http(status="400 Bad Request"))

    with server(talk) as port:
        message = "the TLS handshake failed: wrong version number; is it http rather than https?"
        assert failed(f"https://127.0.0.1:{port}/") == (message, "connect", True)


def mutual(pki):
    return Tls(ca_file=str(pki / "ca.pem"), client_cert=Reference(env="CERT"))


def test_our_certificate_is_shown_from_a_path_or_from_its_text(pki):
    with https(pki, mutual=True) as url:
        for certificate in (str(pki / "client.pem"), (pki / "client.pem").read_text()):
            assert sent(url, tls=mutual(pki), certificate=certificate).text == "ok"


@pytest.mark.parametrize(
    "certificate, message",
    [
        ("", "the TLS handshake failed: tlsv13 alert certificate required; it wants a certificate of ours: set tls.client_cert"),
        (
            "stranger.pem",
            "the TLS handshake failed: tlsv1 alert unknown ca; it does not know the authority that signed our tls.client_cert",
        ),
    ],
)
def test_a_sink_that_does_not_take_our_certificate_says_so(pki, certificate, message):
    with https(pki, mutual=True) as url:
        got = failed(url, tls=mutual(pki), certificate=certificate and str(pki / certificate))
    assert got == (message, "connect", True)


CERTIFICATE = "tls.client_cert: what it names is no readable PEM file with our certificate and its key, unencrypted"


@pytest.mark.parametrize("certificate", ["nowhere.pem", "ca.key", "client.crt", "locked.pem", "-----BEGIN NONSENSE-----", "."])
def test_a_certificate_of_ours_that_cannot_be_read_is_our_fault_and_asks_nobody_for_a_password(pki, certificate):
    shown = certificate if certificate.startswith("-") else str(pki / certificate)
    assert failed("https://127.0.0.1:1/", tls=mutual(pki), certificate=shown) == (CERTIFICATE, "tls", False)


@pytest.mark.parametrize("name", ["nowhere.pem", "ca.key", "."])
def test_a_file_of_authorities_that_cannot_be_read_is_our_fault(pki, name):
    path = str(pki / name)
    message = f"tls.ca_file: {path} is no file of PEM certificates that can be read"
    assert failed("https://127.0.0.1:1/", tls=Tls(ca_file=path)) == (message, "tls", False)


def test_what_was_mended_is_read_anew_and_what_worked_is_kept(pki, tmp_path):
    client, tls = Client(), Tls(ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(Undelivered):
        client._under(tls, "")
    (tmp_path / "ca.pem").write_bytes((pki / "ca.pem").read_bytes())
    assert client._under(tls, "") is client._under(Tls(ca_file=str(tmp_path / "ca.pem")), "")


def brought_over_tls(pki, port_url, environment):
    """One delivery of a sink whose file asks for mutual TLS."""
    text = f"title: T\nrequest: {{ url: '{port_url}', json: $.summary }}\ntls: {{ ca_file: '{pki}/ca.pem', client_cert: {{ env: CERT }} }}"
    config = Config(settings=Settings(), secrets=Secrets(environment), providers={}, sinks={"s": sink(text)})

    async def go():
        client = Client()
        try:
            (result,) = await bring(config, client, "s", [delivery()], say=unheard)
            return result.state, result.verdict
        finally:
            await client.close()

    return anyio.run(go)


def test_a_sinks_file_shows_our_certificate_by_reference_and_parks_while_it_cannot_be_read(pki):
    with https(pki, mutual=True) as url:
        assert brought_over_tls(pki, url, {"CERT": f"{pki}/client.pem"}) == ("delivered", "answered 200")
        assert brought_over_tls(pki, url, {"CERT": f"{pki}/no.pem"}) == ("parked", f"{CERTIFICATE}; parked until it is mended")
        assert brought_over_tls(pki, url, {}) == ("parked", "CERT is not set; parked until it is mended")
