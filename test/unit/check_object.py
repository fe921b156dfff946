#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the file of a plugin or a program is like: a plugin's symbols, what it is linked with, and the traces of
cmake/Hardening.cmake.

check_object.py FILE [--need=FLAG...] FLAG...

The flags are those that the file was compiled with. The checks of code depend on them, so that a build whose compiler
lacks one passes; --need=FLAG says that this one must be among them.
"""
import re
import shutil
import subprocess
import sys

PAGE = 4096
SYMBOLS = {"mosquitto_plugin_cleanup", "mosquitto_plugin_init", "mosquitto_plugin_version"}


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True).stdout


class Object:
    """A shared object or a program, as readelf shows it."""

    def __init__(self, path):
        self.path = path
        self.dynamic = output_of("readelf", "-W", "-d", path)
        self.segments = output_of("readelf", "-W", "-l", path)
        self.machine = re.search(r"Machine: *(.+)", output_of("readelf", "-h", path))[1]
        rows = [line.split() for line in output_of("readelf", "-W", "--dyn-syms", path).splitlines()]
        rows = [row for row in rows if len(row) >= 8 and row[0].rstrip(":").isdigit()]
        # Linkers for ARM put sections among the symbols.
        self.exported = {row[7].split("@")[0] for row in rows if row[6] != "UND" and row[3] != "SECTION"}
        self.imported = {row[7].split("@")[0] for row in rows if row[6] == "UND"}

    def flags_of(self, kind):
        """The rights of the segments of this kind."""
        return re.findall(rf"^ +{kind} +(?:0x\S+ +){{5}}(.+?) +0x", self.segments, re.MULTILINE)


def faults_of_linking(found):
    if not re.search(r"NEEDED.*\[libmosquitto\.so\.1\]", found.dynamic):
        yield "it is not linked with libmosquitto: upstream's brokers 2.0.x export fewer symbols than it needs"
    if not re.search(r"BIND_NOW|FLAGS_1.*NOW", found.dynamic):
        yield "its symbols are not bound when it is loaded (-z now)"
    if not found.flags_of("GNU_RELRO"):
        yield "its tables of addresses stay writable (-z relro)"
    if found.flags_of("GNU_STACK") != ["RW"]:
        yield "its stack may hold code (-z noexecstack)"
    if any("W" in rights and "E" in rights for rights in found.flags_of("LOAD")):
        yield "it has memory that is both writable and executable"
    if "TEXTREL" in found.dynamic:
        yield "its code is changed when it is loaded (TEXTREL)"


def faults_of_symbols(found):
    is_program = "INTERP" in found.segments
    if not is_program and found.exported != SYMBOLS:
        yield f"it exports {', '.join(sorted(found.exported))}, and should export {', '.join(sorted(SYMBOLS))}"


def frames_over_a_page(found):
    """Names of functions that take more than a page of the stack in one step."""
    name, names = "", set()
    for line in output_of("objdump", "-d", "--no-show-raw-insn", found.path).splitlines():
        begun = re.match(r"[0-9a-f]+ <(.+)>:$", line)
        taken = re.search(r"\bsub +\$0x([0-9a-f]{1,7}),%rsp$", line)
        name = begun[1] if begun else name
        if taken and int(taken[1], 16) > PAGE:
            names.add(name)
    return names


def faults_of_code(found, flags):
    is_x86 = "X86-64" in found.machine
    if "-fstack-protector-strong" in flags and "__stack_chk_fail" not in found.imported | found.exported:
        yield "no return address is guarded (-fstack-protector-strong)"
    if any(re.match("-D_FORTIFY_SOURCE=[1-9]", flag) for flag in flags):
        # Such as __snprintf_chk. clang calls the plain function where it does not know the size.
        if not any(re.fullmatch("__.*_chk", name) for name in found.imported):
            yield "no function of the C library checks sizes (_FORTIFY_SOURCE)"
    if "-fstack-clash-protection" in flags and is_x86 and shutil.which("objdump"):
        wide = frames_over_a_page(found)
        if wide:
            yield f"{', '.join(sorted(wide))}: a frame of more than a page (-fstack-clash-protection)"
    if "-fcf-protection" in flags and is_x86 and shutil.which("objdump"):
        if "endbr64" not in output_of("objdump", "-d", "--no-show-raw-insn", found.path):
            yield "no place to which a branch may go is marked (-fcf-protection)"


def faults_of_flags(flags, needed):
    for flag in needed:
        if flag not in flags:
            yield f"it was compiled without {flag}"


def main():
    path, rest = sys.argv[1], sys.argv[2:]
    needed = [flag[len("--need="):] for flag in rest if flag.startswith("--need=")]
    flags = [flag for flag in rest if not flag.startswith("--need=")]
    found = Object(path)
    faults = [*faults_of_flags(flags, needed), *faults_of_linking(found), *faults_of_symbols(found),
              *faults_of_code(found, flags)]
    for fault in faults:
        print(f"{path}: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
