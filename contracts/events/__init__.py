# SPDX-License-Identifier: Apache-2.0
"""Events: envelope, signed heads, topics and payloads."""
