# SPDX-License-Identifier: Apache-2.0
"""Keys of the vault: sealing, blind index, normal forms, and who holds the root."""
