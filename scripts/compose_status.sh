#!/bin/sh
# `battlefield status` over the containers of compose.yaml: compose_status.sh [--json]
# Each container keeps its heartbeat to itself. This collects those of the containers that run now, a worker's under its
# container's number, and asks ClickHouse and the broker from inside, for the broker is published to nobody.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder" # the container reads it as a user of its own
for container in $(docker compose ps --quiet producer worker); do
    name=$(docker inspect --format \
        '{{index .Config.Labels "com.docker.compose.service"}}-{{index .Config.Labels "com.docker.compose.container-number"}}' \
        "$container")
    name=${name#producer-1} # there is one producer, and its role has no number
    docker exec "$container" sh -c 'cat /data/heartbeats/*.json' |
        sed "s/\"role\":\"worker-1\"/\"role\":\"$name\"/" >"$folder/${name:-producer}.json" || true
done
docker compose run --rm --no-deps --no-TTY --quiet-pull --volume "$folder:/data/heartbeats:ro" tools status "$@"
