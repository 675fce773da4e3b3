# SPDX-License-Identifier: Apache-2.0
"""Who is calling: access tokens verified, scopes required per route.

Routes are guarded by a dependency or marked public; one that is neither stops the
start. The outbound half gets this service's own tokens. Nothing here decides about a
record: that is policy's work, with what `Principal` says.
"""

from services.chassis.auth.guards import (
    SCHEME_NAME,
    TOKEN_PATH,
    Requirement,
    bearer_token,
    need,
    public,
    public_routes,
    require,
    require_any,
    unguarded_routes,
)
from services.chassis.auth.remote import (
    RemoteKeys,
    RemoteRevocations,
    TokenSource,
    remote_revocations,
)
from services.chassis.auth.tokens import (
    KeySource,
    LocalKeys,
    Principal,
    PrincipalKind,
    TokenVerifier,
    access_claims,
    sign_access_token,
)

__all__ = [
    "SCHEME_NAME",
    "TOKEN_PATH",
    "KeySource",
    "LocalKeys",
    "Principal",
    "PrincipalKind",
    "RemoteKeys",
    "RemoteRevocations",
    "Requirement",
    "TokenSource",
    "TokenVerifier",
    "access_claims",
    "bearer_token",
    "need",
    "public",
    "public_routes",
    "remote_revocations",
    "require",
    "require_any",
    "sign_access_token",
    "unguarded_routes",
]
