# SPDX-License-Identifier: Apache-2.0
"""All SQL of the custody room, by what it is about.

`records` and `folios` hold what is stored, `index` how it is found, `freeze` what a
live handover pins and drops, `rights` what the person concerned filed.
"""
