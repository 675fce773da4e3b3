# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL for the scaled world."""
