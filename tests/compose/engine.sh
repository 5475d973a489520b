# Sourced by run.sh --engine: a Docker engine for the time of the test, and stand-ins for the two public images that
# the Dockerfile and docker-compose.yml name, made from Debian's packages. For a machine with root rights, Debian's
# and Python's package sources and no image registry. Nothing is left running; the packages stay installed.
# shellcheck shell=bash

engine_started=no

engine_start() {
    local root=$1 work=$2
    [ "$(id -u)" = 0 ] || fail "--engine needs root rights"
    local package missing=()
    for package in docker.io docker-compose iptables debootstrap; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        say "installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$work/apt.log" 2>&1 \
            || { tail -5 "$work/apt.log" >&2; fail "the packages cannot be installed"; }
    fi

    say "starting an engine"
    engine_dir=$(mktemp -d)
    export DOCKER_HOST=unix://$engine_dir/docker.sock
    export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 # the builder that needs no plugin
    iptables-save >"$engine_dir/iptables"
    dockerd --bridge none --host "$DOCKER_HOST" \
        --data-root "$engine_dir/data" --exec-root "$engine_dir/exec" --pidfile "$engine_dir/pid" \
        >"$engine_dir/log" 2>&1 &
    engine_pid=$!
    engine_started=yes
    local i
    for i in $(seq 60); do
        ! docker info >/dev/null 2>&1 || break
        kill -0 "$engine_pid" 2>/dev/null || { tail -5 "$engine_dir/log" >&2; fail "the engine ended"; }
        [ "$i" != 60 ] || fail "the engine does not answer"
        sleep 1
    done
    engine_images "$engine_dir/base"
    engine_wheels "$root" "$python_version"
}

# One Debian with Python and Redis under the names that the public images have for their commands.
engine_images() {
    say "making the base images"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip,redis-server \
        bookworm "$1" >"$engine_dir/debootstrap.log" 2>&1 \
        || { tail -5 "$engine_dir/debootstrap.log" >&2; fail "debootstrap failed"; }
    python_version=$(chroot "$1" python3 -c 'import platform; print(platform.python_version())')
    local name
    for name in python python3; do ln -sf /usr/bin/python3 "$1/usr/local/bin/$name"; done
    ln -sf /usr/bin/redis-server "$1/usr/local/bin/valkey-server"
    ln -sf /usr/bin/redis-cli "$1/usr/local/bin/valkey-cli"
    mkdir -p "$1/data"
    tar -C "$1" --exclude='./dev/*' --exclude='./var/cache/apt/archives/*.deb' -c . >"$engine_dir/base.tar"
    docker import "$engine_dir/base.tar" python:3.11-slim-bookworm >/dev/null
    docker import --change 'WORKDIR /data' "$engine_dir/base.tar" valkey/valkey:8 >/dev/null
    rm -rf "$1" "$engine_dir/base.tar"
}

# Containers of this engine reach no package index: the Dockerfile takes wheels/ in its place. What the lock asks for
# depends on the version of Python there, not here.
engine_wheels() {
    wheels=$1/wheels
    [ ! -e "$wheels" ] || { wheels=; fail "$1/wheels exists"; }
    say "downloading the wheels"
    "$1/.venv/bin/python" "$1/tests/compose/requirements_for.py" "$2" <"$1/requirements-runtime.lock" \
        >"$engine_dir/requirements.txt"
    "$1/.venv/bin/pip" download --quiet --no-deps --only-binary :all: --python-version "$2" --require-hashes \
        -r "$engine_dir/requirements.txt" --dest "$wheels"
}

engine_stop() {
    say "stopping the engine"
    rm -rf "${wheels:-}"
    if kill "$engine_pid" 2>/dev/null; then wait "$engine_pid" 2>/dev/null || true; fi
    iptables-restore <"$engine_dir/iptables"
    rm -rf "$engine_dir"
}
