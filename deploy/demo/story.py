# SPDX-License-Identifier: Apache-2.0
"""The story of the demonstration, in the order in which it happens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.demo import afterwards, before, deal
from deploy.demo.cast import Stage, Tale
from deploy.demo.crm import Scenario
from deploy.demo.dataset import Dataset, read_dataset
from deploy.demo.enrolling import enrol_everybody
from deploy.demo.evidence import copy_log, write_papers
from deploy.demo.export import write_export
from deploy.demo.narrator import Narrator
from deploy.demo.office import Office
from deploy.demo.party_exports import export_views
from deploy.demo.people_of_the_deal import BUYER
from deploy.demo.proving import Proven, prove
from deploy.demo.report import adds_up, figures, write_report
from deploy.demo.scan import Needles, read_needles, scan
from services.cli.supervisor import Supervisor

SEED: Final = 2017


@dataclass(slots=True)
class Told:
    """The story so far as the report needs it."""

    tale: Tale
    handover: dict[str, Any]
    proven: Proven
    source: str


def prepare(stage: Stage, narrator: Narrator, limit: int | None) -> Dataset:
    """Write the CRM's export; return the data set behind it.

    Raises:
        DatasetError: The published purchases are not installed.
    """
    with narrator.phase("export", "Two companies export their customers"):
        narrator.say("reading the published purchases; some seconds")
        dataset = read_dataset()
        scenario = Scenario(seed=SEED, limit=limit, buyer=BUYER)
        summary = write_export(stage.folder, dataset, scenario)
        narrator.say(f"{dataset.source}: published household purchases, provenance")
        narrator.say("as stated by the package; people and consents are synthetic")
        narrator.say(
            f"{summary.customers} customers with {summary.purchases} purchases, "
            f"and {summary.buyer_customers} customers of the buyer"
        )
    return dataset


def open_doors(stage: Stage, supervisor: Supervisor, narrator: Narrator) -> None:
    """Initialise the installation, enrol everybody, start the services."""
    with narrator.phase("enrol", "Parties, systems and officers are enrolled"):
        supervisor.prepare()
        enrolled = enrol_everybody(stage.place)
        narrator.say(f"{enrolled} enrolments on the vault's host")
    with narrator.phase("start", "The services start"):
        supervisor.start()
        place = stage.place
        for url in (place.vault_url, place.transfer_url, place.audit_url):
            narrator.say(f"{url}/docs")


def tell(stage: Stage, narrator: Narrator, dataset: Dataset) -> Told:
    """Tell the whole story to running services; return what came of it."""
    log_key = (stage.place.state / "log.vkey").read_text(encoding="utf-8").strip()
    tale = Tale(stage, Office(stage.place, log_key), narrator)
    with narrator.phase("import", "The customers enter over REST"):
        before.agree_on_a_catalogue(tale)
        before.bring_in_the_customers(tale)
        before.pin_the_log(tale)
    with narrator.phase("access", "A clerk reads, for a purpose"):
        before.let_a_clerk_read(tale)
    with narrator.phase("cancelled", "A first handover is cancelled in the middle"):
        deal.cancel_one_in_the_middle(tale)
    with narrator.phase("decision", "The handover: plan, freeze, decision, backup"):
        deal.decide_and_back_up(tale, dataset)
    with narrator.phase("execution", "Two releases, and the batches move"):
        deal.release_and_execute(tale)
    with narrator.phase("turn", "Custody turns"):
        deal.turn(tale)
    with narrator.phase("afterwards", "Who reads whom now"):
        afterwards.sync_at_night(tale)
        afterwards.read_on_both_sides(tale)
        handover = afterwards.count(tale)
    with narrator.phase("proof", "The log and the papers are verified"):
        write_papers(tale)
        proven = prove(tale, copy_log(tale))
        export_views(tale)
    return Told(tale, handover, proven, dataset.source)


def conclude(told: Told, elsewhere: list[Path]) -> dict[str, Any]:
    """Scan state and evidence, write both reports; return `report.json`'s members.

    Args:
        told: The story.
        elsewhere: Further folders that hold state, such as a database server's.
    """
    tale = told.tale
    narrator, stage = tale.narrator, tale.stage
    with narrator.phase("scan", "Is any customer readable in what was stored?"):
        needles = Needles(read_needles(stage.needles))
        found = scan([stage.place.state, stage.evidence, *elsewhere], needles)
        narrator.check(
            "no name, phone, e-mail or address lies in state or evidence",
            not found.findings and found.octets > 0,
            f"{found.needles} needles, {found.files} files, {found.octets:,} bytes",
        )
    report = figures(tale, told.handover, told.proven, found, told.source)
    narrator.check(
        "inventory = transferred + archive only + held + excluded, in each class",
        adds_up(report),
    )
    report = figures(tale, told.handover, told.proven, found, told.source)
    write_report(stage.folder, report, told.handover)
    return report
