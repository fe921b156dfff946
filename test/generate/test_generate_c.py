# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The generated client in C: each compiler takes it without a warning, as C and its header as C++, and it works."""
import shutil

from devices import FakeDevice, lamp
from generated import C_FLAGS, COMPILERS, HERE, LIBRARIES, OPTIONS, generate, new_folder, run
from harness import BrokerTest, main
from lamps import with_progress

SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
MISUSE = {
    "home_get_sensor(client, (const struct home_update_sensor_params *)0, 0, &result, &reply);": "incompatible",
    "result.colour = 1;": "no member named",
    "home_get_sensors(client, 0, 0, &result, &reply);": "home_get_sensors",
}


class C(BrokerTest):

    def setUp(self):
        super().setUp()
        self.folder = new_folder(self)
        self.broker = self.start(OPTIONS, lines=["set_tcp_nodelay true"])
        generate("c", self.folder, "-p", self.broker.port)
        shutil.copy(HERE / "use.c", self.folder)

    def test_use(self):
        for compiler in COMPILERS:
            with self.subTest(compiler=compiler):
                run(compiler, *C_FLAGS, *SANITIZERS, "use.c", "home.c", *LIBRARIES, "-o", "use", folder=self.folder)
                device = with_progress(FakeDevice(self, self.broker, work=lamp).come(kind="lamp")).run()
                self.assertEqual(run("./use", self.broker.port, folder=self.folder), "all is well\n")
                device.go()

    def test_misuse(self):
        for line, complaint in MISUSE.items():
            (self.folder / "misuse.c").write_text(
                '#include "home.h"\nvoid misuse(struct rpc_client *client);\nvoid misuse(struct rpc_client *client)\n{\n'
                "struct home_get_sensor_result result = {0};\nstruct rpc_typed_reply reply;\n"
                f"home_get_sensor(client, 0, 0, &result, &reply);\n{line}\n}}\n")
            said = run(COMPILERS[0], *C_FLAGS, "-c", "misuse.c", folder=self.folder, status=1)
            self.assertIn(complaint, said)
            self.assertEqual(said.count("error:"), 1, said)

    def test_header_in_cplusplus(self):
        (self.folder / "use.cpp").write_text('#include "home.h"\n#include "home.h"\nint main() { return 0; }\n')
        run("c++", "-std=c++11", *C_FLAGS[1:4], "-Werror", C_FLAGS[-1], "-c", "use.cpp", folder=self.folder)


if __name__ == "__main__":
    main()
