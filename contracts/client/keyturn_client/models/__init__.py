# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests and answers, generated from the OpenAPI documents."""
