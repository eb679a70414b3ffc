"""The reference: an ordinary Litestar handler that does nothing, on the same server. `python -m benchmarks.noop PORT`."""

from __future__ import annotations

import sys

import uvicorn
from litestar import Litestar, Request, post


@post("/webhooks/{provider:str}", status_code=202)
async def take(provider: str, request: Request) -> dict[str, bool]:
    """Read the body and answer."""
    await request.body()
    return {"ok": True}


if __name__ == "__main__":
    uvicorn.run(
        Litestar([take], openapi_config=None),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
    )
