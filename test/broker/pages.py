"""What the pages show, for tests that run it: commands, blocks of a shell, and the rows of tables."""
import os
import pty
import re
import subprocess

from harness import MOSQUITTO, SLOW, TIMEOUT

PORT = "1884"  # of the broker in docs/first-call.md, in every command of the pages


def section(page, heading):
    """The text of a page from this heading to the next one of its level, or of a higher one below the page's title."""
    level = len(heading) - len(heading.lstrip("#"))
    return re.search(rf"^{re.escape(heading)}$\n(.*?)(?=^#{{2,{level}}} |\Z)", page, re.MULTILINE | re.DOTALL).group(1)


def blocks(text, language="sh"):
    """The fenced blocks of a language, also those in quotations."""
    return re.findall(rf"^```{language}\n(.*?)^```", re.sub(r"^> ?", "", text, flags=re.MULTILINE),
                      re.MULTILINE | re.DOTALL)


def rows(text):
    """The rows of all tables, without their heads, each as a list of cells."""
    lines = re.findall(r"^\|---.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for table in lines for line in table.splitlines()]


def here(command, broker):
    """The command for this broker: its port, its files, and no sudo. It has more time, since tests run at once."""
    for place, ours in ((f"-p {PORT}", f"-p {broker.port}"), (f"= :{PORT}'", f"= :{broker.port}'"),
                        ("= :9001'", f"= :{broker.websockets_port}'"), ("sudo ", ""),
                        ("/var/log/mosquitto/mosquitto.log", str(broker.log_path)),
                        ("/etc/mosquitto/mosquitto.conf", str(broker.config_path)),
                        ("/etc/mosquitto", str(broker.config_path)), ("/usr/sbin/mosquitto", MOSQUITTO)):
        command = command.replace(place, ours)
    return re.sub(r"-W (\d+)", lambda found: f"-W {patience(int(found.group(1)))}", command)


def patience(seconds):
    """More than a page allows, since many tests run at once; of two seconds, a command waits for the end."""
    return 3 * SLOW * (1 if seconds <= 2 else seconds)


def run(command, **how):
    """What a shell's command prints, wherever it prints it."""
    return subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, stdin=subprocess.DEVNULL, timeout=12 * TIMEOUT + 60, **how).stdout


def run_with_passwords(command, password, **how):
    """Runs a command that asks for passwords on its terminal, each twice. Returns its exit code and what it printed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(["bash", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                          **how) as process:
        os.close(theirs)
        output, given = "", 0
        while True:
            try:
                output += os.read(ours, 4096).decode()
            except OSError:  # nobody has the terminal open any more
                break
            if output.lower().count("password: ") > given:
                given += 1
                os.write(ours, f"{password}\n".encode())
        os.close(ours)
    return process.returncode, output
