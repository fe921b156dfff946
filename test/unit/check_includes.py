#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""check_includes.py ROOT: the rooms of the tree and the direction of their #include lines.

ROOMS is the one table of rooms. A file may include headers of its own room and of the rooms that its row
names. Debian keeps Mosquitto's headers where every compiler looks, so the compiler cannot check this.
"""
import pathlib
import re
import sys

# Room: the other rooms whose headers its files may include. Every room may include include/ and core/host.h, which
# is the interface to the outside and includes nothing of core/. A later row may include earlier ones at most.
ROOMS = {
    "include": [],
    "core/base": [],
    "core/shape": ["core/base"],
    "core/work": ["core/base"],
    "core/dedup": ["core/base"],
    "core/stats": ["core/base"],
    "core/crew": ["core/base", "core/stats"],
    "core/call": ["core/base", "core/shape", "core/work", "core/dedup", "core/stats", "core/crew"],
    "core/describe": ["core/base", "core/shape", "core/call"],
    "core/observe": ["core/base", "core/shape", "core/work", "core/dedup", "core/stats", "core/crew",
                     "core/call"],
    "core/workers": ["core/base", "core/shape", "core/stats", "core/crew", "core/call", "core/observe"],
    "core": ["core/base", "core/shape", "core/work", "core/dedup", "core/stats", "core/crew", "core/call",
             "core/describe", "core/observe"],
    "tool/roff": ["core/base"],  # manual pages: the tool prints its own, docs/ the worker's
    "mqtt": [],  # what the hosts inside a broker and as its client have in common
    "plugin/compat": [],
    "plugin": ["core/base", "core/shape", "core", "plugin/compat", "mqtt"],
    "worker": ["core/base", "core/shape", "core/call", "core", "mqtt"],
    "docs": ["core/base", "core/shape", "core/call", "core/describe", "core/observe", "core", "tool/roff"],
    "testing": ["include", "core/base", "core/shape", "core/call", "core/observe", "core"],
    "handlers/store": [],  # no module: what the folders of modules share; it does not know include/ either
    "handlers": [],  # a module also includes headers of the folder that has its name
    "handlers/*": ["handlers/store"],  # the folder of a module
    "clients/c": [],  # a client, which knows nothing of the plugin but what is on the wire
    "tool/generate": ["core/base"],  # of the engine, tool/ has what knows nothing but memory and text
    "tool": ["core/base", "clients/c", "tool/generate", "tool/roff"],
}
EVERYWHERE = ["include/mosquitto_rpc.h", "core/host.h"]

# Foreign headers that only some rooms may include: a pattern, and the rooms.
FOREIGN = [
    (r"mosquitto_(broker|plugin)\.h|mqtt_protocol\.h", ["plugin/compat", "mqtt", "worker", "clients/c"]),  # 2.1 warns of their use
    (r"mosquitto(?!_rpc\.h$)|mqtt", ["plugin", "plugin/compat", "mqtt", "worker", "clients/c", "tool"]),
    (r"sqlite3\.h", ["handlers/store", "handlers/*"]),
]


def room_of(path, root):
    """The room of a header or source file: its folder, relative to root."""
    return path.parent.relative_to(root).as_posix()


def row_of(room):
    """The room's name in ROOMS."""
    return "handlers/*" if room.startswith("handlers/") and room not in ROOMS else room


def find(name, file, root):
    """The file of this tree that an #include line names; None: it is foreign."""
    for folder in (file.parent, root / "include", root / "core", root / "handlers", root / "clients/c", *room_root(file, root)):
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def room_root(file, root):
    """plugin/, worker/ and tool/ are on the include paths of their own files alone; docs/ has tool/, too."""
    top = {"docs": "tool"}.get(room_of(file, root), room_of(file, root).partition("/")[0])
    return [root / top, root] if top in ("plugin", "worker", "tool") else []


def fault_of_own(file, target, root):
    """What is wrong with including target, a header of this tree; None: nothing."""
    room, other = room_of(file, root), room_of(target, root)
    if other == room or (target.relative_to(root).as_posix() in EVERYWHERE and not room.startswith("handlers")):
        return None
    if target.name == "mosquitto_rpc.h" and room != "handlers/store":
        return None
    if room == "handlers" and other == f"handlers/{file.stem}" and row_of(other) == "handlers/*":
        return None
    if other in ROOMS[row_of(room)]:
        return None
    return f"{room} may not include {other}"


def fault_of_foreign(room, name):
    for pattern, rooms in FOREIGN:
        if re.search(pattern, name) and row_of(room) not in rooms:
            return f"{room} may not include it"
    return None


def sources(root):
    folders = {p.relative_to(root).as_posix() for p in (root / "handlers").iterdir() if p.is_dir()}
    for folder in [*ROOMS, *sorted(folders - ROOMS.keys())]:
        yield from sorted((root / folder).glob("*.[ch]"))


def includes(file):
    for line in file.read_text().splitlines():
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if found:
            yield found.group(1)


def unit_of(file, root):
    """A header and the source file of its name are one unit."""
    return file.relative_to(root).with_suffix("").as_posix()


def find_circles(edges):
    """What is left when units that depend on nothing left are taken away, again and again."""
    edges = {unit: set(others) for unit, others in edges.items()}
    while True:
        free = {unit for unit, others in edges.items() if not others & edges.keys()}
        if not free:
            return sorted(edges)
        edges = {unit: others - free for unit, others in edges.items() if unit not in free}


def check_table():
    rows = list(ROOMS)
    return [f"the row of {room} names {other}, which is not an earlier row"
            for room, others in ROOMS.items() for other in others
            if other not in rows[:rows.index(room)]]


def check(root):
    faults, seen = check_table(), 0
    edges = {}
    for file in sources(root):
        unit = edges.setdefault(unit_of(file, root), set())
        for name in includes(file):
            seen += 1
            target = find(name, file, root)
            if target and unit_of(target, root) != unit_of(file, root):
                unit.add(unit_of(target, root))
            fault = fault_of_own(file, target, root) if target else fault_of_foreign(room_of(file, root), name)
            if fault:
                faults.append(f"{file.relative_to(root)} includes {name}: {fault}")
        if file.suffix == ".c" and file.is_relative_to(root / "core") and not file.with_suffix(".h").is_file():
            faults.append(f"{file.relative_to(root)} has no header")
    circle = find_circles(edges)
    if circle:
        faults.append("files that include each other in a circle, or need one that does: " + ", ".join(circle))
    if seen < 100:
        faults.append(f"only {seen} #include lines were found: is ROOT right?")
    return faults


if __name__ == "__main__":
    problems = check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(problems) or "all #include lines follow the rooms")
    sys.exit(bool(problems))
