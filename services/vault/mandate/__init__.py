# SPDX-License-Identifier: Apache-2.0
"""A handover at the vault: plan, decision, mandate, batches, turn."""
