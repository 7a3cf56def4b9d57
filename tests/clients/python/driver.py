"""The Python SDK (`mcp` 2.x) as a driver; `../README.md` describes the job and the report."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import mcp_types
from mcp import Client, MCPError
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
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


class Memory:
    """Where a client keeps its registration and its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def sign_in(url: str) -> OAuthClientProvider:
    """A client that has nothing but the server's URL: its person signs in at the address that it opens, and the browser
    brings the code back to a listener of its own."""
    landed: asyncio.Queue[str] = asyncio.Queue()

    async def land(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode()
        while (await reader.readline()).strip():
            pass
        body = b"Signed in. You can close this page."
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()
        address = urlsplit(line.split(" ")[1])
        if address.path == "/callback":
            await landed.put(address.query)

    listener = await asyncio.start_server(land, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]

    async def redirect(address: str) -> None:
        if await tell({"authorize": address}) != "accept":
            raise RuntimeError("nobody signed in")

    async def callback() -> AuthorizationCodeResult:
        answer = {name: values[0] for name, values in parse_qs(await landed.get()).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="portcullis-tests-python",
        redirect_uris=[f"http://127.0.0.1:{port}/callback"],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    return OAuthClientProvider(url, metadata, Memory(), redirect_handler=redirect, callback_handler=callback)


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


async def calls(client: Client, job: dict[str, Any], auth: OAuthClientProvider | None) -> list[dict[str, Any]]:
    reports = []
    for wanted in job.get("calls", []):
        answered = await outcome({"tool": wanted["tool"]}, job.get("elicit", False), lambda: call(client, wanted))
        if job.get("attended") and await tell({"answered": answered}) == "expire" and auth:
            # As if time had passed: the SDK goes by its own clock.
            auth.context.token_expiry_time = 1
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
    auth = await sign_in(job["url"]) if job.get("sign_in") else None
    async with httpx2.AsyncClient(headers=headers, auth=auth) as http:
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
                "calls": await calls(client, job, auth),
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
