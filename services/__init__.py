# SPDX-License-Identifier: Apache-2.0
"""The services and their shared chassis."""

__version__ = "0.1.0"
"""As pyproject.toml has it: image and units run these files, and install no package."""
