"""A process that accepts and claims under load, prints what it answered, and dies in the middle of a commit."""

from __future__ import annotations

import asyncio
import os
import sys

from store_examples import NOON, a_webhook, an_event, an_intake, claim, telling

from gateway.store import open_store


async def main(url: str) -> None:
    store = open_store(url)
    decide = telling("splunk")

    def die(incident, event):
        print(flush=True)
        os._exit(137)

    async def caller(name):
        for n in range(20):
            id = f"{name}-{n}"
            last = (name, n) == (15, 15)
            webhook = a_webhook(f"w-{id}", at=NOON)
            await store.accept(an_intake(an_event(id, key=id), webhook=webhook, decide=die if last else decide))
            print(id)
            if n % 5 == 0:
                await claim(store, limit=2)

    await asyncio.gather(*map(caller, range(16)))


asyncio.run(main(sys.argv[1]))
