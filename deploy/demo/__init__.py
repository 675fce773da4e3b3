# SPDX-License-Identifier: Apache-2.0
"""The demonstration: one company is handed over."""
