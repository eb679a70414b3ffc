"""Reloads, whatever the disk says."""

from __future__ import annotations

import anyio
import pytest

from gateway import reload
from gateway.config import load, stamp
from gateway.outbound import Client
from gateway.pipeline import Pipeline
from gateway.reload import Reloads
from gateway.store import open_store
from gateway.worker import Worker

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pipeline(tmp_path):
    (tmp_path / "conf").mkdir()
    store = open_store(f"sqlite:///{tmp_path}/gateway.db")
    client = Client()
    yield Pipeline(load(tmp_path / "conf", {}), store, client)
    await client.close()
    await store.close()


@pytest.mark.parametrize(
    "error, said",
    [
        (PermissionError(13, "Permission denied"), "the files cannot be read: [Errno 13] Permission denied"),
        (RuntimeError("odd"), "the files cannot be read: odd"),
    ],
)
async def test_files_that_cannot_be_read_are_a_refusal_and_no_fault(pipeline, error, said):
    def fail():
        raise error

    before = pipeline.config
    loaded = await Reloads(pipeline, Worker(pipeline), fail, lambda: 1).reload()
    assert ([problem.message for problem in loaded.problems], pipeline.config is before) == ([said], True)


async def test_a_directory_that_is_away_for_a_moment_changes_nothing(pipeline, tmp_path):
    root, before = tmp_path / "conf", pipeline.config
    reloads = Reloads(pipeline, Worker(pipeline), lambda: load(root, {}), lambda: stamp(root, {}))
    root.rename(tmp_path / "away")
    loaded = await reloads.reload()
    assert ([problem.message for problem in loaded.problems], pipeline.config is before) == (["there is no such directory"], True)
    (tmp_path / "away").rename(root)
    assert (await reloads.reload()).problems == ()


async def test_a_look_that_fails_stops_nobody_and_a_change_after_it_is_seen(pipeline, monkeypatch):
    monkeypatch.setattr(reload, "EVERY", 0.01)
    looks = iter([1, OSError(24, "Too many open files"), OSError(24, "Too many open files"), 1, 2, 2])
    loads = []

    def look():
        each = next(looks, 2)
        if isinstance(each, OSError):
            raise each
        return each

    reloads = Reloads(pipeline, Worker(pipeline), lambda: loads.append(1) or pipeline.config, look)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloads.watch)
        with anyio.fail_after(5):
            while len(loads) < 2:  # noqa: ASYNC110 - the watch is what is waited for
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert reloads.loaded.problems == ()


async def test_a_reload_shows_a_sink_the_new_secret_and_none_once_it_is_away(pipeline, tmp_path):
    root, environment = tmp_path / "conf", {}
    (root / "sinks.d").mkdir()
    auth = "auth: { scheme: bearer, token: { env: TOKEN, optional: true } }"
    (root / "sinks.d/s.yaml").write_text(f"title: S\n{auth}\nrequest: {{ url: https://sink.test, json: $ }}\n")
    reloads = Reloads(pipeline, Worker(pipeline), lambda: load(root, dict(environment)), lambda: 1)
    seen = []
    for token in ("one1", "two2", ""):
        environment["TOKEN"] = token
        assert (await reloads.reload()).problems == ()
        config = pipeline.config
        found = config.auth_of("s")
        seen.append(found and found.headers(config.secrets))
    assert seen == [{"Authorization": "Bearer one1"}, {"Authorization": "Bearer two2"}, None]
