"""Headgate inside your own application: a FastAPI app with its own middleware and lifespan, the gateway under /llm.

    uvicorn --app-dir examples mounted:app
    OpenAI(base_url="http://127.0.0.1:8000/llm/v1", api_key="none")

``HEADGATE_CONFIG`` names a configuration file; without one the embedded defaults apply.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate import configfile
from headgate.app import create_app
from headgate.gateway import Gateway
from headgate.telemetry import logs

path = os.environ.get("HEADGATE_CONFIG")
gateway = Gateway(configfile.load(path) if path else configfile.default(os.environ))
logs.setup(style=gateway.config.logging.format, level=gateway.config.logging.level)  # or your own handlers


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """A mounted application is sent no lifespan events: whoever mounts the gateway opens and closes it."""
    async with gateway:
        yield


class Stamp:
    """Middleware of the application's own: every answer says who served it, the gateway's streams included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-served-by", b"my-app")]
            await send(message)

        await self.app(scope, receive, stamped)


app = FastAPI(lifespan=lifespan)
app.add_middleware(GZipMiddleware)  # leaves event streams alone
app.add_middleware(Stamp)
app.mount("/llm", create_app(gateway))


@app.get("/")
async def index() -> dict[str, str]:
    """A route of the application itself, beside the gateway."""
    return {"service": "my-app", "models": "/llm/v1/models"}
