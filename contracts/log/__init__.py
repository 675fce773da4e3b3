# SPDX-License-Identifier: Apache-2.0
"""The formats of the log: tree, checkpoints, tiles, proofs (C2SP, RFC 6962)."""
