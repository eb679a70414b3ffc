"""gateway.yaml and GATEWAY_*: the environment wins over the file, the file over the defaults, and what is wrong is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.config.problems import Problem
from gateway.config.schema import Settings
from gateway.config.settings import read_settings, unknown_aliases
from gateway.values import Duration


def wrote(folder: Path, text: str) -> Path:
    (folder / "gateway.yaml").write_text(text)
    return folder


def said(problems: list[Problem]) -> list[str]:
    return [str(replace(problem, file=Path(problem.file).name)) for problem in problems]


def test_without_a_file_and_variables_every_setting_has_its_default(tmp_path: Path):
    assert read_settings(tmp_path, {}) == (Settings(), [])
    assert read_settings(None, {}) == (Settings(), [])


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path):
    root = wrote(tmp_path, "port: 9000\nhost: 0.0.0.0\ndrain: 5s\ncatalogue: false\n")
    environment = {
        "GATEWAY_PORT": "9001",
        "GATEWAY_DRAIN": "1m",
        "GATEWAY_CATALOGUE": "On",
        "GATEWAY_SECRETS_DIR": "/run/secrets",
    }
    wanted = Settings(host="0.0.0.0", port=9001, drain=Duration(60), catalogue=True, secrets_dir="/run/secrets")
    assert read_settings(root, environment) == (wanted, [])


def test_the_admin_token_is_a_secret_and_no_setting_that_a_variable_replaces(tmp_path: Path):
    assert read_settings(tmp_path, {"GATEWAY_ADMIN_TOKEN": "hunter2"}) == (Settings(), [])


WRONG = {
    ("GATEWAY_PORT", "eighty"): "environment:1:1: GATEWAY_PORT: `eighty` is not a whole number [setting]",
    ("GATEWAY_PORT", "-1"): "environment:1:1: GATEWAY_PORT: `-1` is not a whole number [setting]",
    ("GATEWAY_PORT", "80800"): (
        "environment:1:1: GATEWAY_PORT: there is no port 80800 [setting]\n    help: give one from 1 to 65535"
    ),
    ("GATEWAY_CATALOGUE", "maybe"): "environment:1:1: GATEWAY_CATALOGUE: `maybe` is neither true nor false [setting]",
    ("GATEWAY_DRAIN", "20"): (
        "environment:1:1: GATEWAY_DRAIN: '20' is not a duration; write it like 500ms, 10s, 5m, 24h or 7d [setting]"
    ),
    ("GATEWAY_ALIASES", "a=b"): "environment:1:1: GATEWAY_ALIASES: this one can only be set in gateway.yaml [setting]",
    ("GATEWAY_STORE", "postgresql://gateway:hunter2@db.example/gateway"): (
        "environment:1:1: GATEWAY_STORE: there is no such store [setting]\n"
        "    help: write `sqlite:///gateway.db`, or `sqlite:////var/lib/gateway/gateway.db` for an absolute path"
    ),
}


@pytest.mark.parametrize("variable,value", WRONG)
def test_a_wrong_variable_is_named(variable: str, value: str, tmp_path: Path):
    _, problems = read_settings(tmp_path, {variable: value})
    assert said(problems) == [WRONG[variable, value]]


def test_the_problems_of_file_and_environment_come_together(tmp_path: Path):
    settings, problems = read_settings(wrote(tmp_path, "port: eighty\n"), {"GATEWAY_CATALOGUE": "maybe"})
    assert settings == Settings()
    assert said(problems) == [
        "gateway.yaml:1:7: port: expected a whole number, got text [type]",
        "environment:1:1: GATEWAY_CATALOGUE: `maybe` is neither true nor false [setting]",
    ]


def test_an_alias_that_names_no_provider_is_found_where_it_stands(tmp_path: Path):
    root = wrote(tmp_path, "aliases:\n  /hooks/old: prometheus\n  /alertmanager: prometeus\n")
    settings, problems = read_settings(root, {})
    assert problems == []
    assert said(unknown_aliases(root, settings, {"prometheus": object()})) == [
        (
            "gateway.yaml:3:18: aliases./alertmanager: there is no provider `prometeus` [unknown-provider]\n"
            "    help: did you mean `prometheus`?"
        )
    ]
    assert said(unknown_aliases(root, settings, ["grafana"])) == [
        (
            "gateway.yaml:2:15: aliases./hooks/old: there is no provider `prometheus` [unknown-provider]\n"
            "    help: name a file in providers.d, without .yaml"
        ),
        (
            "gateway.yaml:3:18: aliases./alertmanager: there is no provider `prometeus` [unknown-provider]\n"
            "    help: name a file in providers.d, without .yaml"
        ),
    ]


def test_an_alias_for_several_providers_names_each_in_its_place(tmp_path: Path):
    root = wrote(tmp_path, "aliases:\n  /hooks/code:\n    X-Gitlab-Event: gitlb\n    '*': github\n")
    settings, problems = read_settings(root, {})
    assert (problems, settings.aliases) == ([], {"/hooks/code": {"X-Gitlab-Event": "gitlb", "*": "github"}})
    assert said(unknown_aliases(root, settings, ["gitlab", "github"])) == [
        (
            "gateway.yaml:3:21: aliases./hooks/code.X-Gitlab-Event: there is no provider `gitlb` [unknown-provider]\n"
            "    help: did you mean `gitlab`?"
        )
    ]
