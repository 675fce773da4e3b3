# SPDX-License-Identifier: Apache-2.0
"""Records over REST: create, read, patch, look up."""
