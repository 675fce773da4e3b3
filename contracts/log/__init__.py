# SPDX-License-Identifier: Apache-2.0
"""The log: Merkle tree, checkpoints, tiles and proofs."""
