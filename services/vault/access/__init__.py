# SPDX-License-Identifier: Apache-2.0
"""Who may see what for which purpose, and how much of it."""
