# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# What the scripts share. To be sourced.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '\n== %s\n' "$*"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# install_packages PACKAGE...: installs those that dpkg does not have.
install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "Installing with apt-get: ${missing[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# What building the plugin takes.
build_packages=(gcc libc6-dev cmake ninja-build pkg-config mosquitto mosquitto-dev libmosquitto-dev
    mosquitto-clients libcjson-dev uthash-dev libxxhash-dev libsqlite3-dev)

# find_mosquitto: where the broker is, which Debian keeps off the PATH of ordinary users.
find_mosquitto() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto
}

# free_port: a port of 127.0.0.1 on which nobody listens.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}
