# SPDX-License-Identifier: Apache-2.0
# Sourced by the runbooks, in Keyturn's directory: `. deploy/runbooks/keyturn.sh`
# For the embedded default. In production mode your supervisor starts and stops; the
# commands on the host (python -m services....) are the same.

export KEYTURN_STATE_DIR=${KEYTURN_STATE_DIR:-.keyturn}
export KEYTURN_KEYS_DIR=${KEYTURN_KEYS_DIR:-.keyturn-keys}
if [ -x .venv/bin/keyturn ]; then PATH=$PWD/.venv/bin:$PATH; fi
VAULT=${KEYTURN_VAULT_URL:-http://127.0.0.1:${KEYTURN_VAULT_PORT:-8401}}
TRANSFER=${KEYTURN_TRANSFER_URL:-http://127.0.0.1:${KEYTURN_TRANSFER_PORT:-8402}}
AUDIT=${KEYTURN_AUDIT_URL:-http://127.0.0.1:${KEYTURN_AUDIT_PORT:-8403}}

# ready URL...: wait until each answers that it can serve; a minute at most.
ready() {
    for url; do
        for _ in $(seq 60); do
            if curl -fs -m 3 "$url/readyz" > /dev/null; then break; fi
            if [ -n "${KEYTURN:-}" ] && ! kill -0 "$KEYTURN" 2> /dev/null; then break; fi
            sleep 1
        done
        curl -fs -m 3 "$url/readyz" > /dev/null || { echo "not ready: $url"; return 1; }
    done
}

# begin: start everything in the background; what the parts say is in STATE/logs/.
begin() {
    keyturn up > "$KEYTURN_STATE_DIR.up" 2>&1 &
    KEYTURN=$!
    ready "$AUDIT" "$VAULT" "$TRANSFER" || { cat "$KEYTURN_STATE_DIR.up"; return 1; }
}

# finish: stop what `begin` started, in good order.
finish() {
    kill "$KEYTURN"
    wait "$KEYTURN" || true
}

# login CLIENT: print a token of a client whose credentials are in the keys directory.
login() {
    keyturn token --client "$KEYTURN_KEYS_DIR/clients/$1.json" --url "$VAULT"
}

# metric URL TOKEN NAME: print the values of a metric.
metric() {
    curl -fs -H "Authorization: Bearer $2" "$1/metrics" | grep -E "^$3(\{| )"
}

# logged: wait until the log holds every event of the vault; a minute at most.
logged() {
    for _ in $(seq 60); do
        if ! metric "$VAULT" "$1" keyturn_outbox_events | grep -qv ' 0.0$'; then return; fi
        sleep 1
    done
    echo "events are still waiting"
    return 1
}
