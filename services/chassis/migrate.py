# SPDX-License-Identifier: Apache-2.0
"""Migrations by Alembic, the same on both engines.

Each service keeps its revisions in `services/<service>/migrations/<database>/`.
A start with a database that is behind migrates it (embedded) or is refused
(production: migrations are a job of their own).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine, scripts: Path) -> None:
    """Bring the database to the newest revision, in one transaction each.

    Args:
        engine: The writer's engine.
        scripts: The folder with `env.py` and `versions/`.
    """
    config = _config(scripts)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def pending(engine: Engine, scripts: Path) -> bool:
    """Whether the database is behind the newest revision."""
    newest = ScriptDirectory.from_config(_config(scripts)).get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current != newest
