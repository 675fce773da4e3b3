# SPDX-License-Identifier: Apache-2.0
"""Audit: the append-only, verifiable log."""
