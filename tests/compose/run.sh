#!/usr/bin/env bash
# docker-compose.yml on a Docker engine: build, bring up, ingest the seeds, export, take down, bring up again,
# export again and compare. Takes down what it brought up, whatever happens.
#
#   tests/compose/run.sh            uses the Docker engine of this machine
#   tests/compose/run.sh --engine   makes one for the time of the test (tests/compose/engine.sh), for a Debian
#                                   machine with root rights that has no engine and no image registry
#
# DEDUP_PORT (default 17700) is the port on this machine.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dedup="$root/.venv/bin/dedup"
export DEDUP_PORT=${DEDUP_PORT:-17700}
target=127.0.0.1:$DEDUP_PORT
work=$(mktemp -d)
project=deduptest$$
up=no

say() { printf '== %s\n' "$*" >&2; }
fail() { say "FAILED: $*"; exit 1; }

compose() { "${compose_command[@]}" --project-name "$project" --file "$root/docker-compose.yml" "$@"; }

finish() {
    status=$?
    trap - EXIT
    if [ "$up" = yes ]; then
        [ "$status" = 0 ] || compose logs --no-color --tail 40 >&2 || true
        compose down --volumes --timeout 30 >/dev/null 2>&1 || true
    fi
    if [ "${engine_started:-no}" = yes ]; then engine_stop; fi
    rm -rf "$work"
    [ "$status" = 0 ] && printf '1 passed, 0 failed\n'
    exit "$status"
}
trap finish EXIT

if [ "${1:-}" = --engine ]; then
    # shellcheck source=tests/compose/engine.sh
    . "$here/engine.sh"
    engine_start "$root" "$work"
fi
docker info >/dev/null 2>&1 || fail "no Docker engine answers; see --engine at the top of this script"
if docker compose version >/dev/null 2>&1; then
    compose_command=(docker compose)
else
    compose_command=(docker-compose)
fi

# Wait until the container of a service is healthy.
wait_healthy() {
    local id health until=$((SECONDS + 180))
    id=$(compose ps -q "$1")
    while [ "$SECONDS" -lt "$until" ]; do
        health=$(docker inspect --format '{{.State.Health.Status}} {{.RestartCount}}' "$id")
        case $health in
        "healthy "*) return 0 ;;
        *" "[0-2]) sleep 1 ;;
        *) fail "$1 ends and is started again" ;;
        esac
    done
    fail "$1 is not healthy after 180 seconds"
}

bring_up() {
    up=yes
    compose up --detach
    wait_healthy store
    wait_healthy dedup
    "$dedup" health --target "$target" || fail "healthy inside, unreachable from outside"
}

export_to() {
    "$dedup" status --wait 120 --target "$target"
    "$dedup" export --output "$1" --target "$target"
    for name in articles matches; do
        [ -s "$1/$name.jsonl" ] || fail "$name.jsonl is empty"
    done
}

say "building the image"
compose build dedup

say "bringing it up"
bring_up

say "checking that it does not run as root"
container=$(compose ps -q dedup)
[ "$(docker exec "$container" id -u)" != 0 ] || fail "the service runs as root"
[ "$(docker inspect --format '{{(index (index .NetworkSettings.Ports "7700/tcp") 0).HostIp}}' "$container")" = 127.0.0.1 ] \
    || fail "the service is published beyond this machine"

say "ingesting the seeds"
"$dedup" ingest "$root"/seeds/*.jsonl --target "$target"
export_to "$work/before"

say "taking it down and up again"
compose down --timeout 60
bring_up
export_to "$work/after"
diff -r "$work/before" "$work/after" || fail "the export differs after a restart"

say "stopping the service: it ends by itself within its grace"
started=$(date +%s)
compose stop dedup
[ $(($(date +%s) - started)) -lt 25 ] || fail "the service did not stop on SIGTERM"
say "passed: $(wc -l <"$work/after/articles.jsonl") articles, $(wc -l <"$work/after/matches.jsonl") matches, the same after down and up"
