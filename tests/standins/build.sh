#!/usr/bin/env bash
# Build the stand-ins of README.md under the names that compose.yaml has, unless images of those names are there already.
# Needs: a Docker engine, the image wiki-battlefield, a JDK (jlink) and Maven.
#   CA_BUNDLE=FILE  the CA of a proxy that opens TLS, for the build alone
set -euo pipefail
cd "$(dirname "$0")/../.."

image() { sed -n "s#^ *image: *\($1:.*\)#\1#p" compose.yaml; }
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
secret=()
[ -z "${CA_BUNDLE:-}" ] || secret=(--secret "id=ca_bundle,src=$CA_BUNDLE")

stands_in() { [ -n "$(docker image inspect -f '{{index .Config.Labels "wiki-battlefield.stands-in-for"}}' "$1")" ]; }

wanted() { # IMAGE: whether it is ours to build
    ! docker image inspect "$1" >/dev/null 2>&1 && return
    stands_in "$1" && return
    echo "$1 is there, and real: kept."
    return 1
}

build() { # IMAGE FOLDER
    docker build --quiet "${secret[@]}" -t "$1" "$context/$2" >/dev/null
    echo "$1: built (stand-in)"
}

broker=$(image redpandadata/redpanda)
if wanted "$broker"; then
    mkdir "$context/redpanda"
    cp tests/standins/redpanda/* "$context/redpanda/"
    (
        cd "$context/redpanda"
        mvn --batch-mode --quiet -Dstyle.color=never dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime
        jlink --strip-debug --no-header-files --no-man-pages --output jre --add-modules \
            java.base,java.desktop,java.logging,java.management,java.naming,java.rmi,java.security.jgss,java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.management,jdk.unsupported,jdk.zipfs
    )
    build "$broker" redpanda
fi

engine=$(image clickhouse/clickhouse-server)
if wanted "$engine"; then
    mkdir "$context/clickhouse"
    cp tests/standins/clickhouse/* requirements-demo.lock "$context/clickhouse/"
    build "$engine" clickhouse
fi
