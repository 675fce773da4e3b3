# SPDX-License-Identifier: Apache-2.0
"""Installations for tests of crashes: everybody enrolled, nothing imported yet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.cast import Stage
from deploy.demo.crm import Scenario
from deploy.demo.dataset import read_dataset
from deploy.demo.enrolling import enrol_everybody
from deploy.demo.export import write_export
from deploy.demo.people_of_the_deal import BUYER
from deploy.demo.playing import free_ports
from deploy.demo.scaled import KAFKA, POSTGRES, scaled_world
from services.cli.place import Place
from services.cli.supervisor import Supervisor
from tests.worlds import ON_KAFKA, ON_POSTGRES

CUSTOMERS: Final = 24
SCALED: Final = POSTGRES in os.environ and KAFKA in os.environ
#: Every module's marks; where there are servers, these tests are theirs.
MARKS: Final = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    *([*ON_POSTGRES, *ON_KAFKA] if SCALED else []),
]
DEMONSTRATION: Final = {
    "KEYTURN_DEMONSTRATION": "true",
    "KEYTURN_TRANSFER_LEASE_SECONDS": "3",  # a dead worker's batch is free soon
}


@dataclass(frozen=True)
class Template:
    """An installation at rest that others are copied from."""

    stage: Stage

    @contextmanager
    def copied(self, folder: Path) -> Iterator[Stage]:
        """Give a fresh installation of its own under `folder`, not yet started.

        On PostgreSQL and Kafka it is made anew: databases are not copied.
        """
        shutil.copytree(self.stage.crm, folder / "crm")
        if SCALED:
            with scaled_world() as world:
                yield made(folder, world.environ)
            return
        place = replace(_place(folder, {}), environ=dict(self.stage.place.environ))
        shutil.copytree(self.stage.place.state, place.state)
        shutil.copytree(self.stage.place.keys, place.keys)
        yield Stage(place, folder)


def template(folder: Path) -> Template:
    """Export two companies' customers, and enrol everybody."""
    scenario = Scenario(limit=CUSTOMERS, buyer=BUYER)
    write_export(folder, read_dataset(), scenario)
    if SCALED:
        return Template(Stage(_place(folder, {}), folder))
    return Template(made(folder, {}))


def made(folder: Path, environ: Mapping[str, str]) -> Stage:
    """Initialise an installation and enrol everybody."""
    place = _place(folder, environ)
    supervisor = Supervisor(place)
    supervisor.prepare()
    enrol_everybody(place)
    supervisor.stop()
    return Stage(place, folder)


def _place(folder: Path, environ: Mapping[str, str]) -> Place:
    settings = {**DEMONSTRATION, **environ}
    return Place(folder / "state", folder / "keys", *free_ports(), environ=settings)
