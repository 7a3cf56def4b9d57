import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

SERVER = {{ url }}
KEY = os.environ[{{ variable }}]


async def main() -> None:
    # Calls may take a while.
    timeout = httpx2.Timeout(30, read=300)
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=timeout) as http,
        Client(streamable_http_client(SERVER, http_client=http)) as client,
    ):
        for tool in (await client.list_tools()).tools:
            print(tool.name)


asyncio.run(main())
