"""What somebody hears who uses the command wrongly, and how it ends: 1 problems, 2 used wrongly, 3 not ready."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("gateway"))
BAD = "title: Bad\nauth: { scheme: hmak }\n"


def usage(command: str, arguments: str, message: str) -> str:
    named = f"gateway {command}".strip()
    return f"Usage: {named} {arguments}\nTry '{named} --help' for help.\n\nError: {message}\n"


WRONG = {
    "vaildate": usage("", "[OPTIONS] COMMAND [ARGS]...", "No such command 'vaildate'. Did you mean 'validate'?"),
    "serve --prot 1": usage("serve", "[OPTIONS]", "No such option '--prot'. (Did you mean one of: '--host', '--port'?)"),
    "serve --port 99999": usage("serve", "[OPTIONS]", "Invalid value for '--port': 99999 is not in the range 1<=x<=65535."),
    "serve --config none": usage("serve", "[OPTIONS]", "Invalid value for '--config': Directory 'none' does not exist."),
    "serve --dev --host 0.0.0.0": usage(
        "serve", "[OPTIONS]", "--dev opens doors, so it listens on loopback only; '0.0.0.0' is not. Leave --dev or the host away"
    ),
    "validate none.yaml": usage(
        "validate", "[OPTIONS] [PATHS]...", "Invalid value for '[PATHS]...': Path 'none.yaml' does not exist."
    ),
    "validate": usage("validate", "[OPTIONS] [PATHS]...", "there is no providers.d, sinks.d or YAML file in ."),
    "validate --format json": usage("validate", "[OPTIONS] [PATHS]...", "there is no providers.d, sinks.d or YAML file in ."),
    "test promethus": usage("test", "[OPTIONS] [NAMES]...", "'promethus' is no provider or sink (did you mean 'prometheus'?)"),
    "try promethus -": usage(
        "try",
        "[OPTIONS] PROVIDER BODY",
        "there is no provider 'promethus' (did you mean 'prometheus'?); `gateway show` lists them",
    ),
    "try prometheus none.json": usage(
        "try", "[OPTIONS] PROVIDER BODY", "Invalid value for 'BODY': File 'none.json' does not exist."
    ),
    "try prometheus - -H x": usage("try", "[OPTIONS] PROVIDER BODY", "write a header as 'NAME: VALUE', not 'x'"),
    "try prometheus - -q x": usage("try", "[OPTIONS] PROVIDER BODY", "write a query parameter as NAME=VALUE, not 'x'"),
    "show elastik": usage(
        "show", "[OPTIONS] [NAME]", "there is no provider or sink 'elastik' (did you mean 'elastic'?); `gateway show` lists them"
    ),
    "show datadog x": usage("show", "[OPTIONS] [NAME]", "Got unexpected extra argument (x)"),
    "schema": usage(
        "schema",
        "[OPTIONS] [provider|sink|settings|event]",
        "name one of provider, sink, settings, event, or give --write or --check with a directory",
    ),
    "replay webhook": usage("replay", "[OPTIONS] {dead-letter|delivery|webhook} [IDS]...", "give the ids to replay, or --all"),
    "replay webhook x --all": usage(
        "replay", "[OPTIONS] {dead-letter|delivery|webhook} [IDS]...", "give either ids or --all, not both"
    ),
    "replay webhook --all": usage("replay", "[OPTIONS] {dead-letter|delivery|webhook} [IDS]...", "--all goes with dead-letter"),
    "replay delivery x --sink y": usage("replay", "[OPTIONS] {dead-letter|delivery|webhook} [IDS]...", "--sink goes with --all"),
    "replay delivery x --url localhost:80": usage(
        "replay",
        "[OPTIONS] {dead-letter|delivery|webhook} [IDS]...",
        "--url: 'localhost:80' is no address; write it like http://127.0.0.1:8080",
    ),
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_is_told_what_is_right(gateway, arguments):
    assert gateway(*arguments.split(), stdin=b"{}") == (2, "", WRONG[arguments])


def test_without_a_command_it_explains_itself_and_ends_as_used_wrongly(gateway):
    alone, asked = gateway(), gateway("--help")
    assert (alone.code, asked.code, alone.err, asked.err) == (2, 0, asked.out, "")
    assert "gateway serve --dev  " in asked.out
    assert "Exit codes: 0 fine, 1 problems found, 2 used wrongly, 3 environment not ready." in asked.out


@pytest.mark.parametrize("command", ["serve", "validate", "test", "try", "show", "schema", "replay"])
def test_every_commands_help_teaches_by_example(gateway, command):
    done = gateway(command, "--help")
    assert (done.code, done.err) == (0, "")
    examples = [line for line in done.out.splitlines() if line.startswith(("    gateway ", "    GATEWAY_", "    # yaml"))]
    assert examples, done.out
    assert f"  {command} " in gateway("--help").out
    assert "..." not in "".join(line for line in gateway("--help").out.splitlines() if line.startswith(f"  {command} "))


STARTS = {
    "an unwritable place": (
        {"GATEWAY_STORE": "sqlite:////proc/x.db"},
        3,
        "gateway: /proc/x.db.lock cannot be written: No such file or directory\n",
    ),
    "no directory": (
        {"GATEWAY_STORE": "sqlite:////none/x.db"},
        3,
        "gateway: there is no directory /none; make it, or name another\n",
    ),
    "no address": (
        {"GATEWAY_HOST": "none.invalid"},
        3,
        "gateway: cannot listen on none.invalid:8080: 'none.invalid' is no address of this machine; name one with --host, as in 127.0.0.1 or 0.0.0.0\n",
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_machine_that_is_not_ready_is_told_what_is_missing(gateway, name):
    env, code, said = STARTS[name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = gateway("serve", **env | {"GATEWAY_PORT": str(port)})
    assert done == (code, "", said.replace("8080", str(port)))


def test_a_store_of_an_unknown_kind_is_a_problem_with_its_mend(gateway):
    done = gateway("serve", GATEWAY_STORE="mysql://x")
    assert (done.code, done.out) == (1, "")
    assert "GATEWAY_STORE: " in done.err
    assert "sqlite:///gateway.db" in done.err


def test_a_busy_port_is_named_and_what_to_do(gateway):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = f"gateway: cannot listen on 127.0.0.1:{port}: another program listens there; stop it, or choose another port with --port\n"
        assert gateway("serve", "--port", port) == (3, "", said)


def test_a_bad_file_stops_the_start_and_each_of_its_problems_is_printed(gateway):
    files = {"conf/providers.d/bad.yaml": BAD, "conf/sinks.d/worse.yaml": "titel: Worse\n"}
    done = gateway("serve", "--config", "conf", files=files)
    assert (done.code, done.out) == (1, "")
    assert "conf/providers.d/bad.yaml:2:17: auth.scheme: `hmak` is not one of" in done.err
    assert "conf/sinks.d/worse.yaml:1:1: titel: unknown key [unknown-key]" in done.err
    assert done.err.endswith(" in 2 files\n")


def test_a_gateway_that_does_not_answer_is_not_ready(gateway):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = gateway("replay", "delivery", "x", "--url", url)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"gateway: no gateway answers at {url}: no connection")


@pytest.mark.parametrize("arguments", ["show", "schema provider", "show github", "reference"])
def test_a_reader_that_hangs_up_is_no_error_to_speak_of(tmp_path, arguments):
    process = subprocess.Popen([COMMAND, *arguments.split()], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert (process.wait(20) in (0, 1, 128 + signal.SIGPIPE), process.stderr.read()) == (True, b"")
    process.stderr.close()


def test_ctrl_c_ends_it_without_a_word(tmp_path):
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [COMMAND, "try", "prometheus", "-"], cwd=tmp_path, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)  # it waits for its input
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        os.close(reader)
        os.close(writer)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")
