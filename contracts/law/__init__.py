# SPDX-License-Identifier: Apache-2.0
"""The law as data and pure functions."""
