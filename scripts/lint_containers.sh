#!/bin/sh
# Check what containers are made of: shell scripts (shellcheck), Dockerfiles (hadolint), compose.yaml with every profile,
# as it is and with managed parts. What cannot be checked on this machine is named.
set -eu
cd "$(dirname "$0")/.."

missing() { echo "not checked: $1" >&2; }

if command -v shellcheck >/dev/null; then
    # every file whose first line names a shell, whatever it is called
    git grep -lE '^#!.*[/ ](ba)?sh( |$)' | xargs shellcheck
else
    missing "shell scripts (no shellcheck here: apt install shellcheck)"
fi

git ls-files '*Dockerfile' | xargs hadolint

if docker compose version >/dev/null 2>&1; then
    managed='KAFKA_BOOTSTRAP_SERVERS=broker.example:9092 KAFKA_SECURITY_PROTOCOL=SASL_SSL KAFKA_SSL_CA_LOCATION=LICENSE
        CLICKHOUSE_HOST=clickhouse.example CLICKHOUSE_CA_LOCATION=LICENSE STACK_REDPANDA=0 STACK_CLICKHOUSE=0'
    for setting in '' "$managed"; do
        # shellcheck disable=SC2086 # one argument a setting
        said=$(env STACK_WRITER_PASSWORD=x STACK_READER_PASSWORD=x STACK_NOTIFIER_PASSWORD=x $setting \
            docker compose --env-file /dev/null --profile '*' config --quiet 2>&1) && [ -z "$said" ] || {
            echo "compose.yaml: $said" >&2
            exit 1
        }
    done
else
    missing "compose.yaml (no docker compose here)"
fi
