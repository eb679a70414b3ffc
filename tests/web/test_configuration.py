"""What configuration runs, by the API, and taking up another."""

from __future__ import annotations

import pytest

from .house_stand import FILES, error, house

pytestmark = pytest.mark.anyio


async def test_what_runs_is_told_and_a_change_is_taken_up_when_it_is_asked_for(tmp_path):
    async with house(tmp_path) as here:
        first = (await here.api("/configuration")).json()
        assert (first["problems"], first["restart"]) == ([], [])
        (tmp_path / "conf" / "providers.d" / "late.yaml").write_text("like: team\n")
        (tmp_path / "conf" / "gateway.yaml").write_text(FILES["gateway.yaml"] + "port: 9999\ndrain: 5s\n")
        assert (await here.call("POST", "/webhooks/late")).status_code == 404
        answer = await here.api("/reload", "POST")
        assert (answer.status_code, answer.json()["restart"]) == (200, ["port", "drain"])
        assert answer.json() == (await here.api("/configuration")).json()
        assert answer.json()["loaded_at"] >= first["loaded_at"]
        assert (await here.call("POST", "/webhooks/late")).status_code == 401


async def test_broken_files_are_refused_with_the_first_problem_and_all_of_them_are_listed(tmp_path):
    async with house(tmp_path) as here:
        before = (await here.api("/configuration")).json()
        file = tmp_path / "conf" / "sinks.d" / "main.yaml"
        file.write_text("titel: Main\nmach: {}\n")
        answer = await here.api("/reload", "POST")
        assert (answer.status_code, answer.json()) == (
            409,
            error(
                "api",
                "config",
                f"the files are broken, and what was loaded before runs: {file}:1:1: titel: unknown key,"
                " and 1 more; GET /api/v1/configuration lists them",
            ),
        )
        now = (await here.api("/configuration")).json()
        assert (now["loaded_at"], now["restart"]) == (before["loaded_at"], [])
        assert [(each["path"], each["message"], each["hint"]) for each in now["problems"]] == [
            ("titel", "unknown key", "did you mean `title`?"),
            ("mach", "unknown key", "did you mean `match`?"),
        ]
        assert (await here.told({"id": "a", "state": "down", "text": "a"}))["events"][0]["sinks"] == ["main"]


async def test_neither_is_told_without_the_token(tmp_path):
    async with house(tmp_path) as here:
        for method, path in (("GET", "/api/v1/configuration"), ("POST", "/api/v1/reload")):
            assert (await here.call(method, path, headers={})).status_code == 401
