# SPDX-License-Identifier: Apache-2.0
"""What two services must agree on, byte for byte; no I/O, no framework."""
