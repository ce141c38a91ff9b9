"""The least a client can do: aiohttp posts ready bodies and reads the replies as bytes, N at a time.

python benchmarks/floor.py BASE_URL QUESTIONS.jsonl --concurrency 256 --limit 2000
Prints the seconds from the first request to the last reply. Questions are used again if there are too few.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import aiohttp


async def work(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        async with session.post(url, data=body) as reply:
            await reply.read()


async def ask(url: str, bodies: list[bytes], concurrency: int) -> float:
    headers = {"Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        start, feed = time.perf_counter(), iter(bodies)
        await asyncio.gather(*(work(session, url, feed) for _ in range(concurrency)))
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base_url")
    parser.add_argument("questions", type=Path)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--limit", type=int, required=True)
    options = parser.parse_args()
    lines = options.questions.read_text(encoding="utf-8").splitlines()
    bodies = [
        json.dumps(
            {"model": "loopback", "messages": [{"role": "user", "content": json.loads(line)["prompt"]}]}
        )
        for line in lines
    ]
    asked = [body.encode() for body in islice(cycle(bodies), options.limit)]
    seconds = asyncio.run(ask(f"{options.base_url}/chat/completions", asked, options.concurrency))
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    main()
