# SPDX-License-Identifier: Apache-2.0
"""Transfer: handovers from draft to certificate."""
