# SPDX-License-Identifier: Apache-2.0
"""Search, proofs, stream and export of the log."""
