# SPDX-License-Identifier: Apache-2.0
"""Folios, versions and custody: who may open what."""
