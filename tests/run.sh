#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds and runs all tests, from a fresh Debian 12 on: installs what is missing.
#
#     run.sh                      install, build into build/, run all tests
#     run.sh --deps               install only
#     run.sh --deps PACKAGE...    install these only
#
# Quiet unless something fails. The last lines are ctest's.
set -eu
cd "$(dirname "$0")/.."

# clang and the aarch64 cross compiler build generated C again (one_answer.sh); g++ and pkg-config build what users
# build (test_install.sh); jq reads what --json prints (test_cli.sh).
packages="gcc g++ libc6-dev cmake make pkg-config protobuf-c-compiler libprotobuf-c-dev libtcc-dev libcmocka-dev jq
    clang libclang-rt-14-dev libfarmhash-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libsimde-dev strace"

missing() {
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2> /dev/null)" = installed ] || echo "$p"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        echo "run.sh: packages are missing, and this is neither root nor is there sudo; as root:" >&2
        echo "    apt-get install --no-install-recommends $need" >&2
        exit 1
    fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }

# Lists of packages may be absent (a fresh image) or old: then they are fetched.
install() {
    apt install -y --no-install-recommends $need ||
        { apt update && apt install -y --no-install-recommends $need; }
}

install_missing() {
    if ! command -v dpkg-query > /dev/null; then
        echo "run.sh: not a Debian; it needs what Debian calls: $*" >&2
        return
    fi
    need=$(missing "$@" | tr '\n' ' ')
    [ -z "$need" ] && return
    log=$(mktemp)
    (install) > "$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; exit 1; }
    rm -f "$log"
}

if [ "${1-}" = --deps ]; then
    shift
    [ $# -gt 0 ] || set -- $packages
    install_missing "$@"
    exit 0
fi
install_missing $packages
mkdir -p build
{ cmake -S . -B build -D MMOEC_TESTS=ON -D MMOEC_BENCH=ON && cmake --build build -j2; } > build/tests.log 2>&1 || {
    tail -n 100 build/tests.log
    exit 1
}
exec ctest --test-dir build --output-on-failure --no-tests=error -j2
