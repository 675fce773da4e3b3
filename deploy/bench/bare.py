# SPDX-License-Identifier: Apache-2.0
"""The floor of a read: two bare FastAPI routes on the same server, nothing behind them.

One returns the content as a dict, for the framework to encode; one as ready bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Response


def application(body: bytes) -> FastAPI:
    """Return an application that answers with `body`, a JSON object."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    content: dict[str, Any] = json.loads(body)

    @app.get("/dict")
    async def as_dict() -> dict[str, Any]:
        return content

    @app.get("/bytes")
    async def as_bytes() -> Response:
        return Response(body, media_type="application/json")

    return app


def main() -> None:
    """Serve the file argv[2] on the port argv[1], as the services are served."""
    port, path = int(sys.argv[1]), Path(sys.argv[2])
    config = uvicorn.Config(
        application(path.read_bytes()),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
