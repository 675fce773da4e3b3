# SPDX-License-Identifier: Apache-2.0
"""Shared machinery of the services: a closed list of modules."""
