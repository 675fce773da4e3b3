# SPDX-License-Identifier: Apache-2.0
"""From a plan to the turn: what people signed, carried out on the vault's own facts."""

from services.vault.mandate.ground import Ground, carried_packs
from services.vault.mandate.operations import Mandates

__all__ = ["Ground", "Mandates", "carried_packs"]
