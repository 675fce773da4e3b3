# SPDX-License-Identifier: Apache-2.0
"""The log: sequencer, signer, tiles, fsck."""
