"""Projects outside the tree, built from an installed prefix: examples/out-of-tree, as its README says, and what its
users may do otherwise. The environment, beside that of harness.py, is set by CMakeLists.txt.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import PLUGIN, ROOT, TIMEOUT, BrokerTest, ask, error_of, eventually, main, result_of
from pages import blocks, section

BUILD = pathlib.Path(os.environ["RPC_BUILD"])
CMAKE = os.environ["RPC_CMAKE"]
LIBDIR = os.environ["RPC_LIBDIR"]
EXAMPLE = ROOT / "examples" / "out-of-tree"
CONSOLE = "share/mosquitto-rpc/console/console.html"  # where there is npm
STRICT = "-Wall -Wextra -Wpedantic -Wshadow -Werror"  # of a user who wants to see everything

# A module whose names are also the engine's, or those of shipped modules.
CLASHES = """
#include <mosquitto_rpc.h>
int arena_init(void); int text_printable(void); int table_find(void); int database_open(void);
int json_parse(void); int dispatch_message(void); int writer_member(void);
int arena_init(void) { return 1; }
int text_printable(void) { return 2; }
int table_find(void) { return 3; }
int database_open(void) { return 4; }
int json_parse(void) { return 5; }
int dispatch_message(void) { return 6; }
int writer_member(void) { return 7; }
static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}
static const rpc_method methods[] = {{.name = "clash", .doc = "Does nothing.", .run = run}};
RPC_MODULE(clash, .doc = "Names.", .methods = RPC_TABLE(methods));
"""


def output_of(*command, fails=False, **how):
    """What a command prints, anywhere; it must succeed, unless it must fail."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=10 * TIMEOUT, **how)
    assert (done.returncode != 0) == fails, f"{command}: {done.stdout}"
    return done.stdout


def install(prefix, *components):
    for component in components:
        output_of(CMAKE, "--install", BUILD, "--prefix", prefix, "--component", component)


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class Install(BrokerTest):

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="install-", dir=BUILD))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = cls.folder / "prefix"
        install(cls.prefix, "dev")

    def project(self, name, example=True, **files):
        """A folder with the example's files, and others."""
        folder = self.folder / name
        if example:
            shutil.copytree(EXAMPLE, folder)
        else:
            folder.mkdir()
        for file, text in files.items():
            (folder / file.replace("_dot_", ".")).write_text(text)
        return folder

    def configure(self, folder, *arguments, prefix=None, build="build", fails=False):
        return output_of(CMAKE, "-S", folder, "-B", folder / build, "-G", os.environ["RPC_GENERATOR"],
                         f"-DCMAKE_C_COMPILER={os.environ['RPC_CC']}", f"-DCMAKE_PREFIX_PATH={prefix or self.prefix}",
                         f"-DCMAKE_C_FLAGS={STRICT}", *arguments, fails=fails)

    def build(self, folder, *arguments, build="build", **how):
        self.configure(folder, *arguments, build=build, **how)
        output_of(CMAKE, "--build", folder / build)
        return folder / build

    def check_garden(self, plugin, has_ping=True):
        """A real broker runs the example's module, with its option."""
        broker = self.start(["valve_longest 2m"], plugin=str(plugin))
        client = self.client(broker, version=5)
        watcher = self.client(broker)
        watcher.subscribe("rpc/event/#")
        self.assertEqual(set(result_of(ask(client, "openValve", {"seconds": 1}))), {"until"})
        self.assertEqual(watcher.receive().topic, "rpc/event/valveOpened")
        self.assertEqual(watcher.receive().topic, "rpc/event/valveClosed")
        self.assertEqual(error_of(ask(client, "openValve", {"seconds": 121}))["err"], "too_long")
        names = {method["name"] for method in result_of(ask(client, "rpc.list"))["methods"]}
        self.assertEqual("ping" in names, has_ping)
        self.assertNotIn("updateSensor", names)
        broker.stop()

    def check_worker(self, garden, worker):
        """A broker with the example's plugin lets a worker carry out its method: the worker has its own option."""
        broker = self.start(["workers_users gardener", "placement_openValve remote"], plugin=str(garden))
        client = self.client(broker, version=5)
        with subprocess.Popen([worker, "--attach", "--broker", f"127.0.0.1:{broker.port}", "--user", "gardener", "--name",
                               "shed", "--valve_longest", "1m"], stderr=subprocess.PIPE, text=True) as process:
            try:
                eventually(lambda: process.poll() is not None or
                           [row["id"] for row in result_of(ask(client, "rpc.workers"))["workers"]] == ["shed"])
                self.assertEqual(set(result_of(ask(client, "openValve", {"seconds": 1}))), {"until"})
                self.assertEqual(error_of(ask(client, "openValve", {"seconds": 61}))["err"], "too_long")
            finally:
                process.terminate()
            log = process.stderr.read()
        self.assertEqual(process.returncode, 0, log)
        broker.stop()

    def check_two_plugins(self, garden):
        """The shipped plugin serves another prefix beside it."""
        broker = self.start(plugins=[(PLUGIN, ["sensor_db :memory:", "device_db :memory:"]),
                                     (str(garden), ["prefix garden/rpc"])])
        client = self.client(broker, version=5)
        result_of(ask(client, "updateSensor", {"sensor_id": "s", "value": 2}))
        result_of(ask(client, "openValve", {"seconds": 600}, prefix="garden/rpc"))
        broker.stop()

    def check_symbols(self, plugin):
        """It exports what the broker calls, and nothing else."""
        shown = output_of("nm", "-D", "--defined-only", plugin)
        self.assertEqual(set(re.findall(r" [A-Z] (\w+)", shown)),
                         {"mosquitto_plugin_cleanup", "mosquitto_plugin_init", "mosquitto_plugin_version"})

    def test_the_example_as_its_page_says(self):
        page = (EXAMPLE / "README.md").read_text()
        folder = self.project("page")
        for row in re.findall(r"^\| \[(.+?)\]", page, re.MULTILINE):
            self.assertTrue((folder / row).is_file(), row)
        environment = {**os.environ, "CC": os.environ["RPC_CC"], "CMAKE_GENERATOR": os.environ["RPC_GENERATOR"],
                       "PKG_CONFIG_PATH": str(self.prefix / LIBDIR / "pkgconfig")}
        commands = blocks(page)
        self.assertEqual(len(commands), 3)
        for block in commands:
            output_of("bash", "-ec", block.replace("/usr/local", str(self.prefix)).replace("\ncc ", "\n$CC "),
                      cwd=folder, env=environment)
        self.assertIn("openValve", (folder / "reference.md").read_text())
        self.check_two_plugins(folder / "build" / "garden.so")
        for plugin, has_ping in ((folder / "build" / "garden.so", True), (folder / "garden.so", False)):
            self.check_symbols(plugin)
            self.check_garden(plugin, has_ping)
        for worker in (folder / "build" / "garden_worker", folder / "garden_worker"):
            self.check_worker(folder / "build" / "garden.so", worker)

    def test_a_prefix_that_was_moved_and_a_test_that_fails(self):
        first = self.folder / "here"
        install(first, "dev", "plugin")
        moved = self.folder / "moved" / "elsewhere"
        moved.parent.mkdir()
        first.rename(moved)
        folder = self.project("moved-project")
        build = self.build(folder, prefix=moved)
        output_of("ctest", "--output-on-failure", cwd=build)
        self.check_symbols(build / "garden.so")
        flags = output_of("pkg-config", "--cflags", "--libs", "mosquitto_rpc_modules",
                          env={**os.environ, "PKG_CONFIG_PATH": str(moved / LIBDIR / "pkgconfig")})
        self.assertNotIn("/here", flags)
        self.check_worker(build / "garden.so", build / "garden_worker")
        test = folder / "test_valve.c"
        test.write_text(test.read_text().replace("119999", "120000"))
        output_of(CMAKE, "--build", build)
        self.assertRegex(output_of("ctest", "--output-on-failure", cwd=build, fails=True),
                         r"test_valve\.c:\d+: there is a message: rpc/event/valveClosed ")
        for file in sorted(moved.rglob("*")):
            if file.suffix in (".cmake", ".pc", ".h"):
                for place in (first, BUILD, ROOT):
                    self.assertNotIn(f"{place}/", file.read_text(), file)

    def check_links(self, folder):
        """Each file to which a page of the installed manual links is there."""
        for page in folder.rglob("*.md"):
            for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.relative_to(folder)} links to {target}")

    def test_components(self):
        found = {}
        for component in ("plugin", "worker", "dev", "doc"):
            install(self.folder / component, component)
            found[component] = files_of(self.folder / component)
        self.assertEqual(found["plugin"] - {CONSOLE}, {f"{LIBDIR}/mosquitto_rpc.so"})
        self.assertEqual(CONSOLE in found["plugin"], (BUILD / "console/console.html").exists())
        self.assertEqual(found["worker"], {"bin/mosquitto_rpc_worker", "share/man/man1/mosquitto_rpc_worker.1"})
        self.assertIn("mosquitto_rpc_worker ", output_of(self.folder / "worker/bin/mosquitto_rpc_worker", "--version"))
        for wanted in ("include/mosquitto_rpc.h", "include/mosquitto_rpc_testing.h",
                       f"{LIBDIR}/libmosquitto_rpc_core.a", f"{LIBDIR}/pkgconfig/mosquitto_rpc.pc",
                       f"{LIBDIR}/libmosquitto_rpc_worker.a", f"{LIBDIR}/pkgconfig/mosquitto_rpc_worker.pc",
                       f"{LIBDIR}/cmake/mosquitto_rpc/mosquitto_rpcConfig.cmake"):
            self.assertIn(wanted, found["dev"])
        for wanted in ("docs/guide.md", "examples/out-of-tree/CMakeLists.txt", "clients/python/pyproject.toml"):
            self.assertIn(f"share/doc/mosquitto-rpc/{wanted}", found["doc"])
        self.check_links(self.folder / "doc/share/doc/mosquitto-rpc")
        self.assertFalse(found["dev"] & found["doc"])
        output_of(CMAKE, "--install", BUILD, "--prefix", self.folder / "all")
        self.assertLessEqual(set().union(*found.values()), files_of(self.folder / "all"))

    def test_the_client(self):
        """The example of its header, with CMake and with pkg-config, and a broker on another port."""
        header = (ROOT / "clients" / "c" / "mosquitto_rpc_client.h").read_text()
        body = re.sub(r"^ \*     ", "", re.search(r"(^ \*     struct .*?)^ \*$", header, re.MULTILINE | re.DOTALL)[1],
                      flags=re.MULTILINE)
        defaults = "RPC_CLIENT_DEFAULTS;"
        self.assertIn(defaults, body)
        body = body.replace(defaults, f"{defaults} options.host = words[1]; options.port = atoi(words[2]);")
        folder = self.project("client", example=False, caller_dot_c=f"""
#include <mosquitto_rpc_client.h>
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words)
{{
    if (count != 3)
        return 1;
    {body}
    return 0;
}}
""", CMakeLists_dot_txt="""
cmake_minimum_required(VERSION 3.18)
project(caller LANGUAGES C)
find_package(mosquitto_rpc REQUIRED)
add_executable(caller caller.c)
target_link_libraries(caller mosquitto_rpc::client)
""")
        self.build(folder)
        output_of("bash", "-ec", "$CC -std=c11 caller.c -o caller $(pkg-config --cflags --libs mosquitto_rpc_client)",
                  cwd=folder, env={**os.environ, "CC": os.environ["RPC_CC"],
                                   "PKG_CONFIG_PATH": str(self.prefix / LIBDIR / "pkgconfig")})
        broker = self.start(["sensor_db :memory:", "device_db :memory:"], plugin=PLUGIN)
        result_of(ask(self.client(broker, version=5), "updateSensor", {"sensor_id": "roof", "value": 2}))
        for program in (folder / "build" / "caller", folder / "caller"):
            self.assertEqual(json.loads(output_of(program, "127.0.0.1", broker.port))["value"], 2)
        broker.stop()

    def test_all_shipped_modules(self):
        folder = self.project("shipped", example=False, CMakeLists_dot_txt="""
cmake_minimum_required(VERSION 3.18)
project(shipped LANGUAGES C)
find_package(mosquitto_rpc 0.1 REQUIRED)
mosquitto_rpc_add_plugin(shipped SHIPPED_MODULES)
mosquitto_rpc_add_reference(shipped_reference shipped)
mosquitto_rpc_add_worker(alone SHIPPED ping sensor)
""")
        build = self.build(folder)
        options = output_of(build / "alone", "--help")
        self.assertIn("--sensor_db", options)
        self.assertNotIn("--device_db", options)
        broker = self.start(["sensor_db :memory:", "device_db :memory:"], plugin=str(build / "shipped.so"))
        client = self.client(broker, version=5)
        result_of(ask(client, "updateSensor", {"sensor_id": "s", "value": 2}))
        self.assertEqual(result_of(ask(client, "getSensor", {"sensor_id": "s"}))["value"], 2)
        broker.stop()
        self.assertEqual(json.loads(output_of(build / "shipped_reference", "openrpc")),
                         json.loads((ROOT / "docs" / "openrpc.json").read_text()))

    @unittest.skipUnless((BUILD / "console/console.html").exists(), "there is no npm, with which the console is built")
    def test_the_console_names_its_libraries(self):
        """With their owners and licences, in the page itself and in the copyright file of the Debian package."""
        page = (BUILD / "console/console.html").read_text()
        packaged = (ROOT / "packaging/copyright.console").read_text()
        owners = re.findall(r"^([\w-]+): Copyright \(c\) (.+)$", page, re.MULTILINE)
        wanted = json.loads((ROOT / "console/package.json").read_text())["dependencies"]
        self.assertEqual({name for name, _ in owners}, set(wanted))
        for name, owner in owners:
            self.assertIn(f"{owner} ({name})".lower(), packaged.lower())
        self.assertEqual(set(re.findall(r"\((\w+)\)$", packaged.lower(), re.MULTILINE)), set(wanted))
        self.assertIn("Permission is hereby granted, free of charge", page)

    def test_names_of_the_users_own(self):
        folder = self.project("clash", example=False, clash_dot_c=CLASHES, CMakeLists_dot_txt="""
cmake_minimum_required(VERSION 3.18)
project(clash LANGUAGES C)
find_package(mosquitto_rpc REQUIRED)
enable_testing()
mosquitto_rpc_add_plugin(clash MODULES clash.c SHIPPED_MODULES)
mosquitto_rpc_add_test(test_clash PLUGIN clash SOURCES test_clash.c)
mosquitto_rpc_add_reference(clash_reference clash)
""", test_clash_dot_c="""
#include <mosquitto_rpc_testing.h>
int main(void)
{
    rpc_test *test = rpc_test_open(NULL);
    rpc_test_expect(test, "clash", NULL, "ok", "{}");
    rpc_test_expect(test, "updateSensor", "{\\"sensor_id\\":\\"s\\",\\"value\\":2}", "ok", NULL);
    rpc_test_expect(test, "getSensor", "{\\"sensor_id\\":\\"s\\"}", "ok", NULL);
    return rpc_test_close(test);
}
""")
        build = self.build(folder)
        output_of("ctest", "--output-on-failure", cwd=build)
        self.assertIn("clash", output_of(build / "clash_reference", "markdown"))
        broker = self.start(["sensor_db :memory:", "device_db :memory:"], plugin=str(build / "clash.so"))
        result_of(ask(self.client(broker, version=5), "clash"))
        broker.stop()

    def test_compilers_and_their_link_time_optimisation(self):
        optimised = ("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON")
        for compiler, arguments in (("gcc", optimised), ("clang", optimised), ("clang", ("-DCMAKE_BUILD_TYPE=Debug",))):
            if not shutil.which(compiler):
                continue
            with self.subTest(compiler=compiler, arguments=arguments):
                build = self.build(self.project(f"with-{compiler}-{len(arguments)}"),
                                   f"-DCMAKE_C_COMPILER={compiler}", *arguments)
                output_of("ctest", "--output-on-failure", cwd=build)
                self.check_symbols(build / "garden.so")
                self.check_garden(build / "garden.so")

    def test_what_is_not_configured(self):
        folder = self.project("wrong", ping_dot_c="", CMakeLists_dot_txt="""
cmake_minimum_required(VERSION 3.18)
project(wrong LANGUAGES C)
find_package(mosquitto_rpc REQUIRED)
include(wrong.cmake)
""")
        for line, says in (
                ("mosquitto_rpc_add_plugin(a SHIPPED pings)",
                 "no module pings is shipped. There are: clock, device, echo, lamp, ping, sensor"),
                ("mosquitto_rpc_add_plugin(a valve.c)", "what is valve.c? The modules' files follow MODULES"),
                ("mosquitto_rpc_add_plugin(a MODULES test_valve.c)", "a module and its file are named"),
                ("mosquitto_rpc_add_plugin(a MODULES ping.c SHIPPED ping)",
                 "a_modules has another file of the module ping already"),
                ("mosquitto_rpc_add_test(t PLUGIN nothing SOURCES test_valve.c)", "the plugin is one of"),
                ("mosquitto_rpc_add_worker(w PLUGIN nothing)", "the plugin is one of mosquitto_rpc_add_plugin()"),
                ("mosquitto_rpc_add_plugin(a SHIPPED ping)\nmosquitto_rpc_add_worker(w PLUGIN a SHIPPED ping)",
                 "the plugin is one of mosquitto_rpc_add_plugin()"),
                ("mosquitto_rpc_add_worker(w valve.c)", "what is valve.c? The modules' files follow MODULES"),
                ("find_package(mosquitto_rpc 9 REQUIRED)", "compatible with requested version")):
            with self.subTest(line):
                (folder / "wrong.cmake").write_text(line)
                self.assertIn(says, re.sub(r"\s+", " ", self.configure(folder, fails=True)))

    @unittest.skipUnless(shutil.which("g++"), "there is no C++ compiler")
    def test_a_project_without_c(self):
        folder = self.project("without-c", CMakeLists_dot_txt="""
cmake_minimum_required(VERSION 3.18)
project(wrong LANGUAGES CXX)
find_package(mosquitto_rpc REQUIRED)
mosquitto_rpc_add_plugin(a MODULES valve.c)
""")
        self.assertIn("modules are written in C", self.configure(folder, fails=True))

    def test_the_guide(self):
        page = (ROOT / "docs" / "guide.md").read_text()
        own = section(page, "## A plugin of your own")
        tests = section(page, "## Testing a module without a broker")
        project, = blocks(own, "cmake")
        listings = blocks(tests, "C")
        self.assertGreaterEqual(len(listings), 1)
        header = (ROOT / "include" / "mosquitto_rpc_testing.h").read_text()
        example = re.search(r"^ \*     (int main.*?^ \*     })", header, re.MULTILINE | re.DOTALL)[1]
        project += "mosquitto_rpc_add_test(test_header PLUGIN doors SOURCES test_header.c)\n"
        folder = self.project("guide", example=False, CMakeLists_dot_txt=project,
                              test_header_dot_c="#include <mosquitto_rpc_testing.h>\n" +
                              re.sub(r"^ \*(     )?", "", example, flags=re.MULTILINE),
                              door_dot_c="".join(blocks(page, "c")), test_door_dot_c=listings[0])
        commands, = blocks(own)
        output_of("bash", "-ec", commands.replace("/usr/local", str(self.prefix)),
                  cwd=folder, env={**os.environ, "CC": os.environ["RPC_CC"],
                                       "CMAKE_GENERATOR": os.environ["RPC_GENERATOR"]})
        broker = self.start(["device_db :memory:"], plugin=str(folder / "build" / "doors.so"))
        client = self.client(broker, version=5)
        self.assertEqual(error_of(ask(client, "openDoor", {"door": "roof"}))["err"], "invalid_params")
        self.assertEqual(error_of(ask(client, "device/motor7/turn", {"steps": 5}))["err"], "device_unknown")
        broker.stop()


if __name__ == "__main__":
    if os.environ["RPC_INSTALLS_DEV"] != "ON":
        unittest.skip("this build's archives are of no use to others")(Install)
    main()
