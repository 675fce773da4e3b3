# SPDX-License-Identifier: Apache-2.0
"""The field catalogue of each party."""
