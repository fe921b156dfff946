# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The releases of Debian of scripts/matrix. To be sourced after common.sh.
#
# build/roots/RELEASE is a minimal Debian that debootstrap makes. A copy of this tree without .git and build/, as a
# tarball would have it, runs scripts/test there, as root or as a user with sudo.

# contained COMMAND...: runs the command as root in namespaces of its own for mounts and processes. What it mounts and
# starts is gone when it ends, and it ends at the latest when this script does, even if that is killed: a process that
# lives as long as this script holds a pipe open.
contained() {
    local alive keeper status=0
    exec {alive}< <(exec tail -f --pid=$$ /dev/null)
    keeper=$!
    as_root unshare --mount --pid --fork bash -c '
        trap "exit 130" INT
        trap "exit 143" TERM
        exec {alive}<&0 </dev/null
        (cat <&"$alive"; exit 143) & ending=$!
        "$@" {alive}<&- & command=$!
        wait -n "$command" "$ending"' contained "$@" <&"$alive" || status=$?
    exec {alive}<&-
    kill "$keeper" 2>/dev/null || true
    return $status
}

# in_root ROOT USER COMMAND: runs a shell's command line in the root, as this user and in the user's home.
in_root() {
    # shellcheck disable=SC2016
    contained bash -c '
        set -e
        mount -t proc proc "$1/proc"
        mount -t tmpfs tmpfs "$1/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$1/dev/pts"
        chroot "$1" su -l "$2" -c "$3"' in_root "$@"
}

debian_suite() {
    case $1 in
    12) echo bookworm ;;
    13) echo trixie ;;
    *) echo "$1" ;;
    esac
}

# In which releases the tests run as root: in the others, a user with sudo runs them.
debian_user() {
    case $1 in
    sid) echo root ;;
    *) echo tester ;;
    esac
}

# debian_has_disk: whether there is room for a new root and the build of the tests in it. Says so if there is not.
debian_has_disk() {
    local needed=1500 free
    free=$(free_disk)
    [ "$free" -ge $needed ] || {
        echo "a root and its tests take $needed MB of disk, and $free MB are free"
        return 1
    }
}

# debian_mirror: the address of the mirror of Debian that apt uses here.
debian_mirror() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
        sed -n 1p)
    [ -n "$mirror" ] || {
        echo "apt-get indextargets names no mirror of Debian" >&2
        return 1
    }
    echo "$mirror"
}

# debian_bootstrap RELEASE ROOT: makes a root with apt as it is configured here, and a user with sudo.
debian_bootstrap() {
    local new=$2.new mirror
    mirror=$(debian_mirror)
    as_root rm -rf --one-file-system "$new"
    mkdir -p "$(dirname "$2")"
    contained debootstrap --variant=minbase --include=sudo,ca-certificates "$(debian_suite "$1")" "$new" "$mirror"
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$new/usr/sbin/policy-rc.d" >/dev/null # starts no services
    as_root chmod +x "$new/usr/sbin/policy-rc.d"
    as_root chroot "$new" useradd --create-home --shell /bin/bash tester
    echo 'tester ALL=(ALL) NOPASSWD: ALL' | as_root tee "$new/etc/sudoers.d/tester" >/dev/null
    as_root mv "$new" "$2"
}

# debian_network ROOT: gives the root this machine's way to the mirror, which may have changed.
debian_network() {
    local name
    for name in resolv.conf hosts hostname; do
        [ ! -e "/etc/$name" ] || as_root cp --dereference --remove-destination "/etc/$name" "$1/etc/$name"
    done
    {
        apt-config dump | grep -E '^Acquire::(https?|Check-|Retries|ForceIPv)' || true
        [ -z "${http_proxy:-}" ] || echo "Acquire::http::Proxy \"$http_proxy\";"
        [ -z "${https_proxy:-}" ] || echo "Acquire::https::Proxy \"$https_proxy\";"
        echo 'Acquire::Languages "none";'
        echo 'APT::Keep-Downloaded-Packages "false";'
    } | as_root tee "$1/etc/apt/apt.conf.d/99matrix" >/dev/null
}

# debian_folder ROOT USER: where the copy of this tree is, as the root's user sees it.
debian_folder() {
    echo "$(as_root chroot "$1" sh -c "echo ~$2")/mosquitto-rpc"
}

# debian_copy_tree ROOT USER: puts this tree, as a tarball would have it, into the user's home, in place of an earlier one.
debian_copy_tree() {
    local folder
    folder=$(debian_folder "$1" "$2")
    as_root rm -rf --one-file-system "$1$folder"
    as_root mkdir "$1$folder"
    tar -C "$root" -c --exclude=./build --exclude=./.git . | as_root tar -C "$1$folder" -x --no-same-owner
    as_root chroot "$1" chown -R "$2:" "$folder"
}

# matrix_debian_prepare RELEASE: makes the root of this release or brings it up to date, copies this tree into it, and
# installs there what the tests need.
matrix_debian_prepare() {
    local place=$root/build/roots/$1 log=$root/build/roots/$1.log user began=$SECONDS status
    user=$(debian_user "$1")
    say "Debian $1: preparing build/roots/$1"
    install_packages debootstrap
    mkdir -p "$root/build/roots"
    exec {debian_lock}>"$place.lock" # a second scripts/matrix waits
    flock "$debian_lock"
    set +e
    (
        set -e
        if [ ! -d "$place" ]; then
            debian_has_disk
            debian_bootstrap "$1" "$place"
        fi
        debian_network "$place"
        in_root "$place" root 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -y -q dist-upgrade'
        debian_copy_tree "$place" "$user"
        in_root "$place" "$user" 'mosquitto-rpc/scripts/test --install'
        in_root "$place" root 'apt-get clean && rm -rf /var/lib/apt/lists/*'
    ) >"$log" 2>&1
    status=$?
    set -e
    [ $status -eq 0 ] || {
        tail -n 20 "$log"
        printf '%s\t-\t-\t0\t1\t0\tno root: %s\n' "$1" "$(grep . "$log" | tail -n 1)" >>"$matrix_rows"
        return 1
    }
    echo "$((SECONDS - began)) seconds"
}

# matrix_debian RELEASE: runs the plain tests in the root of this release, and writes its row.
matrix_debian() {
    local place=$root/build/roots/$1 user began results passed failed skipped broker compiler status
    user=$(debian_user "$1")
    matrix_debian_prepare "$1"
    say "Debian $1: the tests, as $user"
    results=$place$(debian_folder "$place" "$user")/build/results
    set +e
    in_root "$place" "$user" 'mosquitto-rpc/scripts/test'
    status=$?
    set -e
    as_root test -e "$results" || return 1
    read -r passed failed skipped < <(as_root cat "$results")
    as_root tail -n +2 "$results" | sed "s/^/$1: /" >>"$matrix_notes"
    broker=$(as_root chroot "$place" dpkg-query -W -f '${Version}' mosquitto | sed 's/^[0-9]*://; s/[-+~].*//')
    compiler=$(as_root chroot "$place" gcc -dumpfullversion)
    printf '%s\t%s\tgcc %s\t%s\t%s\t%s\n' "$1" "$broker" "$compiler" "$passed" "$failed" "$skipped" >>"$matrix_rows"
    return $status
}
