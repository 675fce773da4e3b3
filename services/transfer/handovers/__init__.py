# SPDX-License-Identifier: Apache-2.0
"""Handovers: states, operations, documents and signatures."""
