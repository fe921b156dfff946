# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The releases of Debian of scripts/matrix. To be sourced after common.sh.

# matrix_debian_prepare RELEASE: makes the root of this release, or brings it up to date.
matrix_debian_prepare() {
    echo "Debian $1: cannot be made yet" >>"$matrix_notes"
    return 1
}

# matrix_debian RELEASE: runs the tests in the root of this release, and writes its row.
matrix_debian() {
    matrix_debian_prepare "$1"
}
