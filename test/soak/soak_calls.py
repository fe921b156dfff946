# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Very many calls: memory and descriptors stay as they were. In the long form 10,000,000."""
import os
import pathlib
import re
import subprocess

from soak import LOG, MEGABYTE, PLUGIN, Soak, descriptors, eventually, main, resident, size

CALLS = size(200_000, 10_000_000)
CLIENT = os.environ.get("RPC_BENCH_CLIENT") or str(pathlib.Path(os.environ.get("RPC_BUILD", "build"), "bench_client"))
PARAMS = '{"sensor_id":"temp1","value":25.5}'


class ManyCalls(Soak):

    def call(self, number, qos):
        """So many calls of ping by four clients, each of which has 16 outstanding. Returns calls a second."""
        done = subprocess.run([CLIENT, "-p", str(self.broker.port), "-q", str(qos), "-c", "4", "-o", "16", "-w", "0", "-n",
                               str(number), "-t", "rpc/call/ping", "-b", PARAMS, "-e", '"ok":true'],
                              stdout=subprocess.PIPE, text=True, check=True)
        found = dict(re.findall(r"(\w+)=([\d.]+)", done.stdout))
        self.assertEqual(float(found["errors"]), 0, done.stdout)
        return float(found["rate"])

    def test_many_calls(self):
        self.broker = self.start(["sys_interval 1s", "sensor_db :memory:"], plugin=PLUGIN, log_types=LOG,
                                 lines=["max_inflight_messages 1000", "sys_interval 0"])
        files = descriptors(self.broker)
        for qos in (0, 1, 2):  # what is allocated once is there, tables of duplicates included
            self.call(CALLS // 20, qos)
        eventually(lambda: descriptors(self.broker) == files)
        before = resident(self.broker)
        rates = {qos: self.call(CALLS * share // 10, qos) for qos, share in ((0, 8), (1, 1), (2, 1))}
        after = resident(self.broker)
        self.figures(calls=CALLS, **{f"qos{qos}_per_second": round(rate) for qos, rate in rates.items()},
                     memory_before=before, memory_after=after)
        self.check_flat(before, after, 2 * MEGABYTE)
        eventually(lambda: descriptors(self.broker) == files)


if __name__ == "__main__":
    main()
