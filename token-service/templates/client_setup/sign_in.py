import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

SERVER = {{ url }}


class Memory:
    """Forgets everything at the end. To stay signed in, keep both where your system keeps secrets."""

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


async def main() -> None:
    landed: asyncio.Future[dict[str, list[str]]] = asyncio.get_running_loop().create_future()

    async def land(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The browser comes back to this program."""
        request = (await reader.readline()).decode().split(" ")
        while (await reader.readline()).strip():
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nSigned in. You can close this page.")
        await writer.drain()
        writer.close()
        address = urlsplit(request[1])
        if address.path == "/callback" and not landed.done():
            landed.set_result(parse_qs(address.query))

    listener = await asyncio.start_server(land, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]

    async def show(address: str) -> None:
        print("To sign in, open", address, flush=True)

    async def answer() -> AuthorizationCodeResult:
        query = {name: values[0] for name, values in (await landed).items()}
        if "code" not in query:
            raise RuntimeError(f"not signed in: {query.get('error')}")
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="My program",
        redirect_uris=[f"http://127.0.0.1:{port}/callback"],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    auth = OAuthClientProvider(SERVER, metadata, Memory(), redirect_handler=show, callback_handler=answer)
    # Calls may take a while.
    timeout = httpx2.Timeout(30, read=300)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=timeout) as http,
        Client(streamable_http_client(SERVER, http_client=http)) as client,
    ):
        for tool in (await client.list_tools()).tools:
            print(tool.name)


asyncio.run(main())
