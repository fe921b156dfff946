"""An operator's machine below a folder, on which a test does what docs/deploy.md says.

A page's steps are its fenced blocks, in their order:

    sh            commands; `systemctl` restarts or reloads this machine's broker
    conf, acl     a file: its first line is a comment that names it, as in "# /etc/mosquitto/conf.d/rpc.conf". Where
                  more words follow the name, the block is added at the end of that file
    json, text    what the commands of the block before have printed: a JSON value, or lines that it has in this order

Folders, ports and names of hosts are replaced by this machine's; `sudo` is left out. The rest is done as it stands.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess

import harness
from harness import PLUGIN, TIMEOUT, eventually
from pages import patience
from test_pages import fits, read, without_times

IS_ROOT = os.geteuid() == 0
HAS_MOSQUITTO = any(user.pw_name == "mosquitto" for user in pwd.getpwall())
SERVICE_USER = IS_ROOT and HAS_MOSQUITTO  # the broker then runs as mosquitto, as Debian's does
FOLDERS = ("etc/mosquitto/conf.d", "etc/mosquitto/certs", "etc/logrotate.d", "etc/systemd/system", "usr/lib/x86_64-linux-gnu",
           "run/mosquitto", "var/lib/mosquitto", "var/log/mosquitto", "var/backups", "root")
DEBIAN = """# /etc/mosquitto/mosquitto.conf, as Debian has it
pid_file /run/mosquitto/mosquitto.pid
persistence true
persistence_location /var/lib/mosquitto/
log_dest file /var/log/mosquitto/mosquitto.log
include_dir /etc/mosquitto/conf.d
"""
# What a broker needs for the sections that are not about users.
PLAIN = """# /etc/mosquitto/conf.d/rpc.conf
listener 1883 127.0.0.1
allow_anonymous true
plugin mosquitto_rpc.so
plugin_opt_sensor_db /var/lib/mosquitto/sensors.db
plugin_opt_device_db /var/lib/mosquitto/devices.db
"""
STEP = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SYSTEMCTL = re.compile(r"^(?:sudo )?systemctl (restart|reload|stop|start|daemon-reload|kill -s USR1) ?(?:mosquitto)?$|"
                       r"^systemd-analyze .*$", re.MULTILINE)
KEEP_VARIABLES = ('set -aeu; cd ~; [ ! -e ~/.left ] || . ~/.left; cd "$PWD"\n'
                  'trap "{ export -p; declare -f; umask -p; } >~/.left" EXIT\n')


def steps(text):
    """The blocks of a text, as (language, content)."""
    return STEP.findall(text)


class Machine(harness.Broker):
    """hosts: further machines that this one knows, by name."""

    def __init__(self, hosts=None, plugin=PLUGIN):
        super().__init__(plugin=plugin)
        self.hosts = hosts or {}
        self.pick_ports()
        for folder in FOLDERS:
            (self.directory / folder).mkdir(parents=True)
        for folder in ("var/lib/mosquitto", "var/log/mosquitto", "run/mosquitto"):
            self.give_to_service(self.directory / folder)
        self.plugin = self.directory / "usr/lib/x86_64-linux-gnu/mosquitto_rpc.so"
        shutil.copyfile(plugin, self.plugin)  # where the broker's user can read it
        self.home = self.directory / "root"
        self.config_path = self.directory / "etc/mosquitto/mosquitto.conf"

    @staticmethod
    def give_to_service(path):
        if SERVICE_USER:
            user = pwd.getpwnam("mosquitto")
            os.chown(path, user.pw_uid, user.pw_gid)

    def operator(self):
        """The environment of the operator's shell."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return {**kept, "HOME": str(self.home), "PWD": str(self.home)}

    # -- what a page says, for this machine

    def port_of(self, usual):
        return {"1883": self.port, "8883": self.tls_port, "8884": self.mounted_port, "9001": self.websockets_port,
                "1885": self.second_port}[usual]

    def here(self, text):
        """The text with this machine's folders and ports. Its brokers listen on 127.0.0.1 alone."""
        text = re.sub(r"(?<![\w./-])/(?=(?:etc/(?:mosquitto|logrotate\.d|systemd)|var/(?:lib/mosquitto|log/mosquitto|backups)"
                      r"|usr/lib/x86_64-linux-gnu|run/mosquitto|root)\b)", f"{self.directory}/", text)
        text = re.sub(r"^(listener) (\d+)\b.*$", lambda found: f"listener {self.port_of(found[2])} 127.0.0.1", text,
                      flags=re.MULTILINE)
        text = re.sub(r"^plugin mosquitto_rpc\.so$", f"plugin {self.plugin}", text, flags=re.MULTILINE)
        text = re.sub(r"^plugin (mosquitto_dynamic_security\.so)$", lambda found: f"plugin {library(found[1])}", text,
                      flags=re.MULTILINE)
        for name, machine in self.hosts.items():
            text = re.sub(rf"\b{re.escape(name)}:(\d+)", lambda found, of=machine: f"localhost:{of.port_of(found[1])}", text)
        text = re.sub(r" -p (1883|1885|8883|8884|9001)\b", lambda found: f" -p {self.port_of(found[1])}", text)
        text = re.sub(r"\b(?:broker|centre|site1)\.example\b", "localhost", text)
        return re.sub(r" -W (\d+)", lambda found: f" -W {patience(int(found[1]))}", text)

    def config(self):
        """Debian's own configuration, which includes what the page writes; the log is also where tests look for it."""
        more = "log_dest stderr\nlog_type all\n" + ("user root\n" if IS_ROOT and not HAS_MOSQUITTO else "")
        return self.here(DEBIAN) + more

    def write(self, content):
        """The file that the block's first line names."""
        first, rest = content.split("\n", 1)
        path, more = re.fullmatch(r"# ([~/]\S+?)(, .*)?", first).groups()
        place = self.directory / path.replace("~", "root").lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        kept = place.read_text() if more else ""
        place.write_text(kept + self.here(rest if more else content))

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        seen = len(self.log())
        self.signal(signal.SIGHUP)
        eventually(lambda: "Reloading config" in self.log()[seen:])

    def service(self, action):
        """What systemctl does. Of systemd itself there need not be one: test_deploy_service.py has its part."""
        if action == "kill -s USR1":
            self.signal(signal.SIGUSR1)
        elif action in ("restart", "reload", "stop", "start"):
            getattr(self, action)()

    def run(self, commands, check=True):
        """Runs a shell's commands as the operator; variables last from one block to the next. Returns what they print."""
        commands = self.here(commands).replace("sudo ", "")
        if not SERVICE_USER:
            commands = re.sub(r" -o mosquitto -g mosquitto| --chown=mosquitto:\S*", "", commands)
            commands = re.sub(r"\bchown ", "true ", commands)
        done = subprocess.run(["bash", "-c", KEEP_VARIABLES + commands], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              env=self.operator(), timeout=12 * TIMEOUT + 60)
        assert not check or done.returncode == 0, f"{commands}\nended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def do(self, commands, check=True):
        """A block of commands, some of which are for the service."""
        output, at = "", 0
        for found in SYSTEMCTL.finditer(commands):
            if commands[at:found.start()].strip():
                output += self.run(commands[at:found.start()])
            self.service(found[1])
            at = found.end()
        if commands[at:].strip():
            output += self.run(commands[at:], check)
        return output

    def follow(self, text):
        """Does all steps of a text. Returns what the commands printed, block by block."""
        found, outputs = steps(text), []
        for index, (language, content) in enumerate(found):
            if language == "sh":
                shown = index + 1 < len(found) and found[index + 1][0] == "text"
                outputs.append(self.do(content, check=not shown))
            elif language in ("conf", "acl", "ini"):
                self.write(content)
            elif language == "json":
                lines = outputs[-1].splitlines()
                for line in content.splitlines():
                    answer = without_times(json.loads(lines.pop(0)))
                    assert fits(read(line), answer), f"the page shows {line}, not {answer}"
            elif language == "text":
                rest = outputs[-1]
                for line in self.here(content).splitlines():
                    assert line in rest, f"the page shows {line!r}, which is not in:\n{rest}"
                    rest = rest[rest.index(line) + len(line):]
            elif language != "python":  # which needs an interpreter with its library: the tests run it
                raise AssertionError(f"a block of {language}, which no test does")
        return outputs

    def password(self, user):
        """As the page chose it."""
        return re.search(rf"^{re.escape(user)}:(.*)$", (self.home / "users.txt").read_text(), re.MULTILINE)[1]


def library(name):
    """Where the system has one of the broker's own plugins."""
    for place in pathlib.Path("/usr/lib").glob(f"**/{name}"):
        return place
    return shutil.which(name) or name
