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
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root, or sudo: $*" >&2
        return 1
    fi
}

# quietly LOG COMMAND...: runs the command with its output in the file LOG, and shows the end of it if it fails.
quietly() {
    local log=$1 status=0
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 || status=$?
    [ $status -eq 0 ] || {
        tail -n 60 "$log"
        echo "$1 failed with $status. The whole output is in $log"
    } >&2
    return $status
}

# install_packages PACKAGE...: installs those that dpkg does not have, and says before how much that is.
install_packages() {
    local missing=() package plan number megabytes
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    quietly "$root/build/apt-update.log" as_root apt-get update || return
    plan=(-y --no-install-recommends install "${missing[@]}")
    number=$(apt-get -s "${plan[@]}" | grep -c '^Inst ')
    megabytes=$(apt-get --print-uris "${plan[@]}" | awk "/^'/ { bytes += \$3 } END { print int(bytes / 1e6 + 0.999) }")
    say "Installing $number packages with apt-get, $megabytes MB to download: ${missing[*]}"
    quietly "$root/build/apt-install.log" as_root env DEBIAN_FRONTEND=noninteractive apt-get -q \
        -o APT::Keep-Downloaded-Packages=false "${plan[@]}"
}

# free_disk: how many megabytes are free where build/ is.
free_disk() {
    df --output=avail --block-size=1M "$root" | tail -n 1 | tr -d ' '
}

# remove_folders PATH...: what root made, such as roots of other Debians, takes root. What is mounted stays.
remove_folders() {
    rm -rf --one-file-system "$@" 2>/dev/null || as_root rm -rf --one-file-system "$@"
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

# summary PASSED FAILED: a line like the one that ctest ends with.
summary() {
    local total=$(($1 + $2)) percent=100
    [ "$total" -eq 0 ] || percent=$((100 * $1 / total))
    echo "$percent% tests passed, $2 tests failed out of $total"
}
