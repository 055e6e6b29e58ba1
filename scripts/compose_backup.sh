#!/bin/sh
# `battlefield backup` and `restore` over the containers of compose.yaml: compose_backup.sh backup|restore FOLDER
# The folder is this machine's, and what is written there belongs to whoever calls.
set -eu
action=$1 folder=$2
terminal=--no-TTY
[ ! -t 2 ] || terminal=--interactive

tools() { # MOUNTED FOLDER, ARGUMENTS
    mounted=$1
    shift
    docker compose run --rm --no-deps "$terminal" --user "$(id -u):$(id -g)" --volume "$mounted:/backups" tools "$@"
}

case $action in
    backup)
        mkdir -p "$(dirname "$folder")"
        tools "$(cd "$(dirname "$folder")" && pwd)" backup "/backups/$(basename "$folder")"
        ;;
    restore)
        [ -f "$folder/manifest.json" ] || { echo "$folder is no backup: it has no manifest.json." >&2 && exit 1; }
        parent=$(cd "$(dirname "$folder")" && pwd)
        tools "$parent" restore --check-only "/backups/$(basename "$folder")"
        # nobody writes while the tables fill
        docker compose --profile '*' stop producer worker notifier
        docker compose up --wait redpanda clickhouse
        docker compose run --rm --no-TTY migrate
        tools "$parent" restore "/backups/$(basename "$folder")"
        echo "Now 'make up': producer and workers go on from what was restored."
        ;;
    *)
        echo "compose_backup.sh backup|restore FOLDER" >&2
        exit 2
        ;;
esac
