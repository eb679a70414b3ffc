"""The stores that the conformance suite holds for. To add one: its name here, and how a fresh URL of it is made."""

from __future__ import annotations

import pytest

from gateway.store import open_store


@pytest.fixture(params=["sqlite"])
def url(request, tmp_path):
    return {"sqlite": f"sqlite:///{tmp_path}/gateway.db"}[request.param]


@pytest.fixture
async def store(url):
    store = open_store(url)
    yield store
    await store.close()
