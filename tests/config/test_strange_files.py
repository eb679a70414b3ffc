"""What lies in a configuration and is no plain file of it: refused by name, at once, and nothing of it is shown."""

from __future__ import annotations

import os
import time

import pytest
from msgspec import convert

from gateway.config import load
from gateway.errors import ConfigError, SecretUnset
from gateway.values import Reference, Secrets, read_bounded

PROVIDER = "title: T\nauth: { scheme: none, because: a test }\nmap: { action: { default: notice }, severity: { default: info }, summary: s }\n"
PLAIN = "put a plain file that may be read here"
SECRET = "root:x:0:0"


@pytest.fixture
def root(tmp_path):
    for kind in ("providers.d", "sinks.d"):
        (tmp_path / "conf" / kind).mkdir(parents=True)
    return tmp_path / "conf"


def said(root):
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load(root, {})
    assert time.monotonic() - began < 2
    return [
        (problem.file.rpartition("conf/")[2], problem.rule, problem.message, problem.hint) for problem in caught.value.problems
    ]


def a_pipe(path):
    os.mkfifo(path)


def a_device(path):
    path.symlink_to("/dev/zero")


def a_directory(path):
    path.mkdir()


def a_huge_file(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def a_link_to_nothing(path):
    path.symlink_to("nowhere")


def a_link_in_a_circle(path):
    path.symlink_to(path.name)


def a_link_out(path):
    (path.parents[2] / "passwd").write_text(SECRET)
    path.symlink_to(path.parents[2] / "passwd")


OUT = ("file", "this is a link that leads out of the configuration", "put the file itself here")
STRANGE = {
    a_pipe: ("file", "the file cannot be read: it is no plain file", PLAIN),
    a_device: OUT,
    a_directory: ("file", "the file cannot be read: Is a directory", PLAIN),
    a_huge_file: ("size", "the file has more than 1,048,576 bytes", "split it"),
    a_link_to_nothing: ("file", "the file cannot be read: No such file or directory", PLAIN),
    a_link_in_a_circle: ("file", "the file cannot be read: its links lead in a circle", PLAIN),
    a_link_out: OUT,
}


@pytest.mark.parametrize("kind", ["providers.d", "sinks.d"])
@pytest.mark.parametrize("make", STRANGE)
def test_what_is_no_plain_file_is_refused_by_name(root, kind, make):
    make(root / kind / "strange.yaml")
    assert said(root) == [(f"{kind}/strange.yaml", *STRANGE[make])]


@pytest.mark.parametrize("make", [a_pipe, a_directory, a_huge_file, a_device])
def test_the_settings_are_in_a_plain_file_too(root, make):
    make(root / "gateway.yaml")
    assert ("gateway.yaml", *STRANGE[make]) in said(root)


@pytest.mark.parametrize("make", [a_pipe, a_device])
def test_what_lies_beside_is_looked_at_without_waiting(root, make):
    make(root / "team.yaml")
    began = time.monotonic()
    load(root, {})
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "make, reason",
    [
        (a_pipe, "`t.j2` cannot be read: it is no plain file"),
        (a_device, "`t.j2` lies outside of this file's directory"),
        (a_huge_file, "`t.j2` has more than 32,768 bytes"),
    ],
)
def test_a_template_is_in_a_plain_file(root, make, reason):
    (root / "sinks.d" / "s.yaml").write_text("title: S\nrequest: { url: 'http://x.test/', text_file: t.j2 }\n")
    make(root / "sinks.d" / "t.j2")
    assert [(rule, message) for _, rule, message, _ in said(root)] == [("text-file", reason)]


@pytest.mark.parametrize("make", [a_pipe, a_directory, a_huge_file])
def test_a_secret_is_in_a_plain_file(tmp_path, make):
    make(tmp_path / "secret")
    with pytest.raises(SecretUnset):
        Secrets({}, tmp_path).reveal(convert({"file": "secret"}, Reference))


def test_what_a_link_out_leads_to_is_not_shown(root, tmp_path):
    a_link_out(root / "providers.d" / "strange.yaml")
    with pytest.raises(ConfigError) as caught:
        load(root, {})
    assert SECRET not in str(caught.value)


def test_links_that_stay_within_are_followed(root):
    """As Kubernetes mounts a ConfigMap: every file a link into `..data`, which is one itself."""
    data = root / "providers.d" / "..2026_01_01"
    data.mkdir()
    (data / "team.yaml").write_text(PROVIDER)
    (root / "providers.d" / "..data").symlink_to(data.name)
    (root / "providers.d" / "team.yaml").symlink_to("..data/team.yaml")
    assert "team" in load(root, {}).providers


def test_a_directory_may_be_a_link(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "team.yaml").write_text(PROVIDER)
    (root / "providers.d").rmdir()
    (root / "providers.d").symlink_to(elsewhere)
    assert "team" in load(root, {}).providers


def test_no_more_is_read_than_was_asked_for(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100)
    assert (read_bounded(tmp_path / "f", 10), read_bounded(tmp_path / "f", 100)) == (b"x" * 11, b"x" * 100)
