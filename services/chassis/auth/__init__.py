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
    origin_of,
    public,
    public_routes,
    require,
    require_any,
    unguarded_routes,
)
from services.chassis.auth.origin import ANYWHERE, Bounds, Origin
from services.chassis.auth.remote import (
    RemoteKeys,
    RemoteRevocations,
    TokenSource,
    remote_revocations,
)
from services.chassis.auth.tokens import (
    PLATFORM,
    KeySource,
    LocalKeys,
    Principal,
    PrincipalKind,
    TokenVerifier,
    access_claims,
    sign_access_token,
)

__all__ = [
    "ANYWHERE",
    "PLATFORM",
    "SCHEME_NAME",
    "TOKEN_PATH",
    "Bounds",
    "KeySource",
    "LocalKeys",
    "Origin",
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
    "origin_of",
    "public",
    "public_routes",
    "remote_revocations",
    "require",
    "require_any",
    "sign_access_token",
    "unguarded_routes",
]
