# SPDX-License-Identifier: Apache-2.0
"""The handover of custody: plan, decision, mandate."""
