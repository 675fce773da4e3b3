# SPDX-License-Identifier: Apache-2.0
"""Records: create, change, append, look up, read, list, erase.

Other rooms use what is named here.
"""

from services.vault.records.aggregates import Aggregates
from services.vault.records.operations import Records
from services.vault.records.reads import Reads
from services.vault.records.searches import Searches
from services.vault.records.writing import Writing

__all__ = ["Aggregates", "Reads", "Records", "Searches", "Writing"]
