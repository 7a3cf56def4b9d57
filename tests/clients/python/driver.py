"""The Python SDK (`mcp` 2.x) as a driver; `../README.md` describes the job and the report."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import mcp_types
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import UrlElicitationRequiredError

# This SDK asks `server/discover` only when it may also fall back; the report says which version it ended with.
MODES = {"legacy": "legacy", "modern": "auto"}


async def every(listing: Callable[..., Awaitable[Any]], items: str, field: str) -> list[str]:
    """Every item of a list, page by page, as sorted values of one field."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await listing(cursor=cursor)
        found += [str(getattr(item, field)) for item in getattr(page, items)]
        cursor = page.next_cursor
        if cursor is None:
            return sorted(found)


async def offered(capability: object | None, *listing: Any) -> list[str]:
    """A list that the server does not offer is empty; SDKs differ in whether they ask for it."""
    return [] if capability is None else await every(*listing)


async def tell(event: dict[str, Any]) -> str:
    """Tells whoever started the driver what happens: one line out, one line in. What they did."""
    print(json.dumps(event), flush=True)
    answer = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(answer)["action"] if answer else "cancel"


async def open_url(url: str) -> str:
    """Has an address opened. What became of it."""
    return await tell({"open": url})


async def elicit(_context: Any, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
    """Since 2026-07-28 the SDK itself asks this, and calls again with what it says."""
    return mcp_types.ElicitResult(action=await open_url(params.url))


async def persistently(job: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Asks again after each address that has to be opened first (2025-11-25). The SDK leaves that to its users."""
    while True:
        try:
            return await job()
        except MCPError as error:
            if error.error.code != mcp_types.URL_ELICITATION_REQUIRED:
                raise
            for wanted in UrlElicitationRequiredError.from_error(error.error).elicitations:
                if await open_url(wanted.url) != "accept":
                    raise


async def outcome(
    labels: dict[str, Any], eliciting: bool, job: Callable[[], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """What became of one job. Anything but a protocol error ends the driver."""
    try:
        return labels | {"outcome": "result"} | await (persistently(job) if eliciting else job())
    except MCPError as error:
        return labels | {"outcome": "error", "code": error.error.code}


def texts(content: list[Any]) -> list[str]:
    return [block.text if block.type == "text" else f"<{block.type}>" for block in content]


async def call(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    progress: list[float] = []

    async def on_progress(done: float, _total: float | None, _message: str | None) -> None:
        progress.append(done)

    result = await client.call_tool(job["tool"], job.get("arguments", {}), progress_callback=on_progress)
    return {"is_error": bool(result.is_error), "text": texts(result.content), "progress": progress}


async def calls(client: Client, job: dict[str, Any]) -> list[dict[str, Any]]:
    reports = []
    for wanted in job.get("calls", []):
        answered = await outcome({"tool": wanted["tool"]}, job.get("elicit", False), lambda: call(client, wanted))
        if job.get("attended"):
            await tell({"answered": answered})
        reports.append(answered)
    return reports


async def get_prompt(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    result = await client.get_prompt(job["name"], job.get("arguments", {}))
    return {"text": texts([message.content for message in result.messages])}


async def read_resource(client: Client, uri: str) -> dict[str, Any]:
    result = await client.read_resource(uri)
    return {"text": [getattr(content, "text", "<blob>") for content in result.contents]}


async def drive(job: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {job['key']}"} if job.get("key") else {}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(job["url"], http_client=http)
        eliciting = job.get("elicit", False)
        callback = elicit if eliciting else None
        mode = MODES[job["era"]]
        async with Client(transport, mode=mode, cache=None, elicitation_callback=callback) as client:
            can = client.server_capabilities
            listings = {
                "tools": (can.tools, client.list_tools, "tools", "name"),
                "prompts": (can.prompts, client.list_prompts, "prompts", "name"),
                "resources": (can.resources, client.list_resources, "resources", "uri"),
                "resource_templates": (
                    can.resources,
                    client.list_resource_templates,
                    "resource_templates",
                    "uri_template",
                ),
            }
            return {
                "protocol_version": client.protocol_version,
                "server": client.server_info.name if client.server_info else None,
                **{name: await offered(*listing) for name, listing in listings.items()},
                "calls": await calls(client, job),
                "prompt_results": [
                    await outcome({"name": wanted["name"]}, eliciting, lambda wanted=wanted: get_prompt(client, wanted))
                    for wanted in job.get("prompts", [])
                ],
                "resource_results": [
                    await outcome({"uri": uri}, eliciting, lambda uri=uri: read_resource(client, uri))
                    for uri in job.get("resources", [])
                ],
            }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(json.loads(sys.argv[1])))))
