# SPDX-License-Identifier: Apache-2.0
"""Intake: from the bus and the outboxes to verified events."""
