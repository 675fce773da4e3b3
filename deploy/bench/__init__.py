# SPDX-License-Identifier: Apache-2.0
"""Measures Keyturn beside a floor of the same run: ratios, never bare figures."""
