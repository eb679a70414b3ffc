"""What configuration runs, and taking up another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import get, post

from . import shown
from .errors import Refusal

if TYPE_CHECKING:
    from . import House


LOCKED = shown.refusals({401: "The token is missing or wrong.", 503: "No admin token is set, or the store refuses."})
BROKEN = shown.refusals({409: "The files are broken; what was loaded before runs."})


def configuration_handlers(house: House) -> list[Any]:
    """Both of them."""

    def loaded() -> shown.Configuration:
        return msgspec.convert(msgspec.to_builtins(house.reloads.loaded), shown.Configuration)

    @get(
        "/configuration",
        summary="When it was loaded, and what is wrong with what has changed since",
        responses=LOCKED,
        sync_to_thread=False,
    )
    def configuration() -> shown.Configuration:
        return loaded()

    @post("/reload", status_code=200, summary="Take up what the files and secrets now say", responses=LOCKED | BROKEN)
    async def reload() -> shown.Configuration:
        await house.reloads.reload()
        if problems := house.reloads.loaded.problems:
            first = f"{problems[0].file}:{problems[0].line}:{problems[0].column}: {problems[0].sentence}"
            more = f", and {len(problems) - 1} more; GET /api/v1/configuration lists them" if problems[1:] else ""
            raise Refusal(409, "api", "config", f"the files are broken, and what was loaded before runs: {first}{more}")
        return loaded()

    return [configuration, reload]
