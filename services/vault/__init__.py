# SPDX-License-Identifier: Apache-2.0
"""The vault: classified records, keys, custody."""
