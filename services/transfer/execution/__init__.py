# SPDX-License-Identifier: Apache-2.0
"""Execution: batch leases, the worker, reconciliation."""
