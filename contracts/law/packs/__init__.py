# SPDX-License-Identifier: Apache-2.0
"""The rule packs: YAML for people, canonical JSON for the code."""
