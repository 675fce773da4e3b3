# SPDX-License-Identifier: Apache-2.0
"""How an installation is run."""
