# SPDX-License-Identifier: Apache-2.0
"""One honest fake per port."""
