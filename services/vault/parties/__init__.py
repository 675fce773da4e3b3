# SPDX-License-Identifier: Apache-2.0
"""Parties, their clients and officers, and the embedded token issuer."""
