# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of a connection: its certificate, into each request's state.

uvicorn verifies the certificate against `tls_client_ca_file` and tells nobody what it
was; this protocol does.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.chassis.transport import PEER, thumbprint


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also says what certificate the client showed."""

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Remember the certificate; each request's scope gets a copy of the state."""
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        shown = None if secured is None else secured.getpeercert(binary_form=True)
        if shown:
            self.app_state = {**self.app_state, PEER: thumbprint(shown)}
