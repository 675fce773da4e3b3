# SPDX-License-Identifier: Apache-2.0
# What stages of runbooks bring about: a shop with one customer, and a scraper.

open_shop() {
    python -m services.vault enrol party --id acme --name Acme --region DE --timezone Europe/Berlin
    python -m services.vault enrol client --party acme --id acme-crm --default-purpose customer_service \
        --scope catalogue:read catalogue:write records:create records:read records:lookup audit:events \
        --purpose customer_service
    python -m services.vault enrol client --party platform --id scraper --scope metrics:read
    local token; token=$(login acme-crm)
    shop PUT "$token" /v1/catalogue/classes/basic '{"form":"document"}'
    shop PUT "$token" /v1/catalogue/fields/name '{"class":"basic","kind":"name"}'
    customer C-1
    logged "$(login scraper)"
}

# shop METHOD TOKEN PATH BODY: one call of the shop's CRM.
shop() {
    curl -fsS -o last.json -X "$1" -H "Authorization: Bearer $2" -H 'Content-Type: application/json' \
        -H "Idempotency-Key: $(cksum <<< "$3$4" | cut -d' ' -f1)-key" "$VAULT$3" -d "$4"
}

# customer ID: create one.
customer() {
    shop POST "$(login acme-crm)" /v1/records "{\"external_id\":\"$1\",\"documents\":{\"basic\":{\"name\":\"Jane Roe\"}}}"
}

# read_customer ID: print the customer's record, or fail.
read_customer() {
    local token id; token=$(login acme-crm)
    shop POST "$token" /v1/records/lookup "{\"identifiers\":[{\"field\":\"external_id\",\"value\":\"$1\"}]}"
    id=$(grep -o '[0-9a-f]\{8\}-[0-9a-f-]\{27\}' last.json | head -1)
    [ -n "$id" ] || return 1
    curl -fsS -H "Authorization: Bearer $token" "$VAULT/v1/records/$id" && echo
}
