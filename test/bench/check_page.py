#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Whether docs/performance.md has the figures of test/bench/budget, with which a test compares every build."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROWS = {"a plain call of `ping`": ("QoS 0", "QoS 1", "QoS 2"),
        "a command, by a call: two round trips, with presence, order and retries": (None, "device, QoS 1", None)}


def main():
    budget = dict(re.findall(r"^(.*QoS \d): (\d+)$", (HERE / "budget").read_text(), re.MULTILINE))
    page = (HERE.parents[1] / "docs" / "performance.md").read_text()
    wrong = []
    for row, names in ROWS.items():
        figures = re.search(rf"^\| {re.escape(row)} \| (.*) \|$", page, re.MULTILINE)[1].split(" | ")
        wrong += [f"{row}: {figure}, and {name} is {int(budget[name]):,} in the budget"
                  for figure, name in zip(figures, names) if name and figure != f"{int(budget[name]):,}"]
    print("\n".join(wrong))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
