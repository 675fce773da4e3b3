# SPDX-License-Identifier: Apache-2.0
"""Alembic's environment of the log database; all of it is the chassis's."""

from services.chassis.migrate import run_environment

run_environment()
