# SPDX-License-Identifier: Apache-2.0
"""A client of Keyturn: typed, patient, and able to prove what it did.

with Keyturn(House(vault="https://vault.example"), login) as keyturn:
    answer = keyturn.records.read(record, purpose="customer_service")
"""

from keyturn_client.async_client import AsyncKeyturn
from keyturn_client.audit import Filters, LogEvent
from keyturn_client.batches import Item
from keyturn_client.calls import Answer, Call
from keyturn_client.client import Keyturn
from keyturn_client.connecting import House, Tls
from keyturn_client.login import ClientLogin, OfficerLogin, Secret
from keyturn_client.proving import LogView, Proven, verify_proof
from keyturn_client.retrying import Retries
from keyturn_client.sse import EventParser, ServerSentEvent

__all__ = [
    "Answer",
    "AsyncKeyturn",
    "Call",
    "ClientLogin",
    "EventParser",
    "Filters",
    "House",
    "Item",
    "Keyturn",
    "LogEvent",
    "LogView",
    "OfficerLogin",
    "Proven",
    "Retries",
    "Secret",
    "ServerSentEvent",
    "Tls",
    "verify_proof",
]
