# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# ARM, for scripts/matrix: cross builds with Debian's compilers, and tests of them under qemu. To be sourced after
# common.sh.
#
# The target's packages come from where apt here gets its own, and are unpacked below build/arm/ARCH/root. Nothing
# of the target is installed on this machine, and neither apt nor dpkg learns of another architecture.

# What is unpacked: what the plugin and its tests are built with, and the broker that runs them.
matrix_arm_packages=(libmosquitto-dev mosquitto-dev libcjson-dev uthash-dev libxxhash-dev libsqlite3-dev check
    libstdc++6 mosquitto)

# What runs: all unit tests but those of CMake's own messages, which look for this machine's packages, and these
# broker tests, some minutes of them. Others measure time or load, which says nothing under an emulator, or start
# programs of the target without it (examples), or need what is not unpacked (clients, documents).
matrix_arm_unit_tests='^unit_'
matrix_arm_no_unit_tests='^unit_configure_'
matrix_arm_broker_tests='^broker_(calls|jsonrpc|batch|options|handlers|slow|websockets|lifecycle|sensor_survives'
matrix_arm_broker_tests+='|device_calls|device_offline)$'

# What is built as Release, where linking is most of the time: the plugins of those broker tests.
matrix_arm_release=(mosquitto_rpc mosquitto_rpc_test mosquitto_second)

# How many times longer than without an emulator the broker tests may take.
matrix_arm_slow=5

# matrix_arm_unpack ARCH FOLDER: unpacks the target's packages in FOLDER/root, anew if there are newer ones.
matrix_arm_unpack() {
    local arch=$1 apt=$2/apt target=$2/root package
    local options=(-q -y --no-install-recommends -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
        -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
        -o "Dir::Log=$apt" -o Debug::NoLocking=1 -o APT::Sandbox::User=root)
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    # A list that cannot be fetched now is of the last run or left out; the next step tells whether the rest do.
    apt-get "${options[@]}" update || true
    apt-get "${options[@]}" --simulate install "${matrix_arm_packages[@]}" >"$apt/plan" || return
    cmp -s "$apt/plan" "$apt/unpacked" && return
    rm -rf "$target" "$apt/unpacked" "$apt"/cache/archives/*.deb
    apt-get "${options[@]}" --download-only install "${matrix_arm_packages[@]}" || return
    mkdir -p "$target"/usr/{bin,lib,sbin}
    ln -s usr/bin usr/lib usr/sbin "$target"
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb --extract "$package" "$target" || return
    done
    rm "$apt"/cache/archives/*.deb
    mv "$apt/plan" "$apt/unpacked"
}

# matrix_arm_wrap FOLDER EMULATOR PROGRAM...: programs FOLDER/bin/… that run the target's programs.
matrix_arm_wrap() {
    local folder=$1 emulator=$2 program
    shift 2
    mkdir -p "$folder/bin"
    for program in "$@"; do
        printf '#!/bin/sh\nexec %q -L %q %q "$@"\n' "$emulator" "$folder/root" "$folder/root/usr/$program" \
            >"$folder/bin/${program##*/}"
        chmod +x "$folder/bin/${program##*/}"
    done
}

# matrix_arm_toolchain FOLDER TRIPLET EMULATOR: writes FOLDER/toolchain.cmake.
matrix_arm_toolchain() {
    local folder=$1 triplet=$2 emulator=$3
    cat >"$folder/toolchain.cmake.new" <<TOOLCHAIN
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${triplet%%-*})
set(CMAKE_C_COMPILER $triplet-gcc)
set(CMAKE_CXX_COMPILER $triplet-g++)
set(CMAKE_SYSROOT "$folder/root")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR "$emulator" -L "$folder/root")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "$folder/root")
set(ENV{PKG_CONFIG_LIBDIR} "$folder/root/usr/lib/$triplet/pkgconfig:$folder/root/usr/share/pkgconfig")
TOOLCHAIN
    # CMake configures anew when this file is newer than its cache.
    cmp -s "$folder/toolchain.cmake.new" "$folder/toolchain.cmake" && rm "$folder/toolchain.cmake.new" ||
        mv "$folder/toolchain.cmake.new" "$folder/toolchain.cmake"
}

# matrix_arm_build FOLDER TYPE [TARGET...]: builds these targets, or everything, in FOLDER/TYPE with warnings as errors.
matrix_arm_build() {
    local folder=$1 type=$2
    shift 2
    cmake -S "$root" -B "$folder/$type" -G Ninja "-DCMAKE_BUILD_TYPE=$type" -DRPC_WERROR=ON \
        "-DCMAKE_TOOLCHAIN_FILE=$folder/toolchain.cmake" "-DRPC_MOSQUITTO=$folder/bin/mosquitto" &&
        cmake --build "$folder/$type" -j "$(nproc)" ${1:+--target "$@"}
}

# matrix_arm_ctest FOLDER TYPE ARGUMENT...: runs tests of FOLDER/TYPE, and appends ctest's lines to FOLDER/tests.log.
# Fails if one did, or if there were none. Brokers have their folders in memory: 32-bit programs under qemu cannot list
# folders of ext4, whose positions have 64 bits, so such a broker finds no file in its include_dir.
matrix_arm_ctest() {
    local folder=$1 type=$2
    shift 2
    PATH="$folder/bin:$PATH" TMPDIR=/dev/shm RPC_SLOW=$matrix_arm_slow \
        ctest --test-dir "$folder/$type" --output-on-failure --no-tests=error -j "$(nproc)" "$@" 2>&1 |
        tee -a "$folder/tests.log"
}

# matrix_arm_report ARCH FOLDER COMPILER: the row of the table, and a note for each test that failed, out of what
# ctest wrote to FOLDER/tests.log and FOLDER/Release/Testing.
matrix_arm_report() {
    local log=$2/tests.log passed failed skipped broker
    broker=$("$2/bin/mosquitto" -h | sed -n 's/^mosquitto version //p') || true
    passed=$(grep -cE '^ *[0-9]+/[0-9]+ Test .* Passed ' "$log") || true
    failed=$(grep -cE '^ *[0-9]+/[0-9]+ Test .*\*\*\*' "$log") || true
    skipped=$(grep -o 'skipped=[0-9]*' "$2/Release/Testing/Temporary/LastTest.log" |
        awk -F = '{ sum += $2 } END { print sum + 0 }') || true
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "${broker:--}" "$3" "$passed" "$failed" "$skipped" >>"$matrix_rows"
    sed -nE "s/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*(\*\*\*[A-Za-z ]*[a-z]).*/$1: \1 \2/p" "$log" \
        >>"${matrix_notes:-/dev/null}"
}

# matrix_arm ARCH: builds for arm64 or armhf, runs the tests under qemu, and writes the row to $matrix_rows.
matrix_arm() {
    local arch=$1 triplet emulator type compiler targets status=0 folder=$root/build/arm/$1
    case $arch in
    arm64) triplet=aarch64-linux-gnu emulator=qemu-aarch64-static ;;
    armhf) triplet=arm-linux-gnueabihf emulator=qemu-arm-static ;;
    *)
        echo "matrix_arm: $arch is neither arm64 nor armhf" >&2
        return 2
        ;;
    esac
    mkdir -p "$folder"
    install_packages "gcc-$triplet" "g++-$triplet" "libc6-dev-$arch-cross" qemu-user-static cmake ninja-build \
        pkg-config python3 || return
    emulator=$(command -v "$emulator" || command -v "${emulator%-static}") || return
    compiler="gcc $("$triplet-gcc" -dumpversion)"

    say "$arch: unpacking the target's packages in $folder/root"
    quietly "$folder/unpack.log" matrix_arm_unpack "$arch" "$folder" || return
    matrix_arm_wrap "$folder" "$emulator" sbin/mosquitto bin/mosquitto_passwd
    matrix_arm_toolchain "$folder" "$triplet" "$emulator"
    for type in Debug Release; do
        say "$arch: building in $folder/$type"
        targets=()
        [ $type = Debug ] || targets=("${matrix_arm_release[@]}")
        quietly "$folder/$type.log" matrix_arm_build "$folder" "$type" "${targets[@]}" || {
            printf '%s\t-\t%s\t-\t-\t-\n' "$arch" "$compiler" >>"$matrix_rows"
            echo "$arch: the $type build failed: $folder/$type.log" >>"${matrix_notes:-/dev/null}"
            return 1
        }
    done

    say "$arch: running the tests under $emulator"
    : >"$folder/tests.log"
    matrix_arm_ctest "$folder" Debug -R "$matrix_arm_unit_tests" -E "$matrix_arm_no_unit_tests" || status=1
    matrix_arm_ctest "$folder" Release -R "$matrix_arm_broker_tests" || status=1
    matrix_arm_report "$arch" "$folder" "$compiler"
    [ $status -eq 0 ] || echo "$arch: ctest's output: $folder/tests.log" >>"${matrix_notes:-/dev/null}"
    return $status
}
