# SPDX-License-Identifier: Apache-2.0
"""Execution: batch leases, the worker, the vault's steps, reconciliation."""

from services.transfer.execution.operations import Executions
from services.transfer.execution.store import Counted, count_batches, progress
from services.transfer.execution.worker import Worker

__all__ = ["Counted", "Executions", "Worker", "count_batches", "progress"]
