#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""check_includes.py ROOT: the rooms of the tree and the direction of their #include lines.

ROOMS is the one table of rooms. A file may include headers of its own room and of the rooms that its row
names. Debian keeps Mosquitto's headers where every compiler looks, so the compiler cannot check this.
"""
import pathlib
import re
import sys

CORE = ["core/base", "core/shape", "core/work", "core/dedup", "core/call", "core/describe", "core"]

# Room: the other rooms whose headers its files may include. Every room may include include/mosquitto_rpc.h.
ROOMS = {
    "include": [],
    "core/base": CORE,
    "core/shape": CORE,
    "core/work": CORE,
    "core/dedup": CORE,
    "core/call": CORE,
    "core/describe": CORE,
    "core": CORE,
    "plugin/compat": [],
    "plugin": CORE + ["plugin/compat"],
    "docs": CORE,
    "handlers": [],  # a module also includes headers of the folder that has its name
}

# Foreign headers that only some rooms may include: a pattern, and the rooms.
FOREIGN = [
    (r"mosquitto(?!_rpc\.h$)|mqtt", ["plugin", "plugin/compat"]),
    (r"sqlite3\.h", ["handlers/*/"]),
]


def room_of(path, root):
    """The room of a header or source file: its folder, relative to root."""
    return path.parent.relative_to(root).as_posix()


def find(name, file, root):
    """The file of this tree that an #include line names; None: it is foreign."""
    for folder in (file.parent, root / "include", root / "core", *room_root(file, root)):
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def room_root(file, root):
    """plugin/ is on the include path of its own files alone."""
    return [root / "plugin"] if room_of(file, root).startswith("plugin") else []


def is_module_folder(room):
    return room.startswith("handlers/")


def fault_of_own(file, target, root):
    """What is wrong with including target, a header of this tree; None: nothing."""
    room, other = room_of(file, root), room_of(target, root)
    if other in (room, "include"):
        return None
    if room == "handlers" and other == f"handlers/{file.stem}":
        return None
    if other in ROOMS.get(room, []):
        return None
    return f"{room} may not include {other}"


def fault_of_foreign(room, name):
    for pattern, rooms in FOREIGN:
        allowed = room in rooms or ("handlers/*/" in rooms and is_module_folder(room))
        if re.search(pattern, name) and not allowed:
            return f"{room} may not include it"
    return None


def sources(root):
    folders = [*ROOMS, *(p.relative_to(root).as_posix() for p in (root / "handlers").iterdir() if p.is_dir())]
    for folder in folders:
        yield from sorted((root / folder).glob("*.[ch]"))


def includes(file):
    for line in file.read_text().splitlines():
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if found:
            yield found.group(1)


def check(root):
    faults, seen = [], 0
    for file in sources(root):
        for name in includes(file):
            seen += 1
            target = find(name, file, root)
            fault = fault_of_own(file, target, root) if target else fault_of_foreign(room_of(file, root), name)
            if fault:
                faults.append(f"{file.relative_to(root)} includes {name}: {fault}")
    if seen < 100:
        faults.append(f"only {seen} #include lines were found: is ROOT right?")
    return faults


if __name__ == "__main__":
    problems = check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(problems) or "all #include lines follow the rooms")
    sys.exit(bool(problems))
