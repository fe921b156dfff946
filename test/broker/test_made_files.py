"""Every file that the plugin makes can be read and written by the broker's user alone, whatever the umask."""
import os
import pathlib
import unittest

from harness import PLUGIN, Broker, BrokerTest, ask, eventually, main, result_of

LIBRARY = os.environ["RPC_MADE_FILES_LIBRARY"]


class OpenBroker(Broker):
    """The broker's own umask takes no rights away, so that each file has those that it is made with."""

    def command(self):
        return ["sh", "-c", "umask 0; exec \"$@\"", "sh", *super().command()]


class MadeFiles(BrokerTest):

    def setUp(self):
        self.broker = OpenBroker(["prefix rpc dev/rpc", "sensor_db sensors.db", "sensor_interval 0",
                                  "device_db devices.db"], plugin=PLUGIN, preload=LIBRARY)
        self.addCleanup(self.broker.clean_up)
        self.addCleanup(self.broker.stop)
        self.list = self.broker.directory / "made"
        os.environ["RPC_MADE_FILES"] = str(self.list)
        self.addCleanup(os.environ.pop, "RPC_MADE_FILES", None)

    def made(self):
        """The modes with which files were made, by their names."""
        lines = [line.split(" ", 1) for line in self.list.read_text().splitlines()]
        return {pathlib.Path(path).name: int(mode, 8) for mode, path in lines}

    def use(self):
        """Has readings and devices written to the databases of both prefixes."""
        self.broker.start()
        client = self.client(self.broker, 5)
        for prefix in ("rpc", "dev/rpc"):
            result_of(ask(client, "updateSensor", {"sensor_id": "a", "value": 1}, qos=0, prefix=prefix))
            result_of(ask(client, "device.group.set", {"group": "g", "devices": ["lamp"]}, qos=0, prefix=prefix))
        eventually(lambda: {"devices.db-wal", "devices.db.dev%2Frpc-wal"} <= set(self.made()))

    def assert_narrow(self):
        made = self.made()
        wide = {name: oct(mode) for name, mode in made.items() if mode & 0o077}
        self.assertEqual(wide, {}, made)
        return set(made)

    def test_each_file(self):
        self.use()
        self.broker.kill()
        self.use()
        self.broker.stop()
        made = self.assert_narrow()
        for database in ("sensors.db", "devices.db"):
            for name in (database, database + ".dev%2Frpc"):
                for suffix in ("", "-wal", "-shm", "-journal"):
                    self.assertIn(name + suffix, made)


if __name__ == "__main__":
    main()
