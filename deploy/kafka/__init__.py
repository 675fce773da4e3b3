# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka for the scaled world."""
