"""Runs a command as systemd would run it with the [Service] section of a drop-in: the same user, capabilities, mounts,
limits and filters of system calls, without systemd.

    sandbox.py DROP-IN FOLDER COMMAND...

FOLDER is a machine's root (machine.py): its etc/mosquitto and the folders that the drop-in lets the service write appear
in the places of the system's. It needs root, and knows each setting of the page or refuses it.
"""
import ctypes
import os
import pathlib
import pwd
import re
import resource
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUTS = 0x20000, 0x8000000, 0x4000000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
LAST_CAPABILITY = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
ALLOW, EPERM = 0x7FFF0000, 0x00050001
EQUAL, MASKED_EQUAL = 4, 7
PROT_WRITE, PROT_EXEC, SHM_EXEC, SCHED_FIFO, SCHED_RR, SUID_SGID = 2, 4, 0o100000, 1, 2, 0o6000
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
STATE = {"StateDirectory": "/var/lib", "LogsDirectory": "/var/log", "RuntimeDirectory": "/run"}
# What is systemd's own, or has no effect on a process without capabilities and devices.
LEFT_OUT = {"ExecStartPre", "MemoryMax", "TasksMax", "TimeoutStopSec", "Restart", "RestartSec", "StateDirectoryMode",
            "PrivateUsers", "PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups",
            "ProtectClock", "ProtectHostname", "RemoveIPC", "SystemCallErrorNumber", "Group"}


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of libseccomp."""
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("first", ctypes.c_uint64), ("second", ctypes.c_uint64)]


def settings(text):
    """The settings of the section, each with its values in order."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def mount(*words):
    subprocess.run(["mount", *words], check=True)


class Filters:
    """Filters of system calls, which all hold."""

    def __init__(self):
        self.library = ctypes.CDLL("libseccomp.so.2")
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.contexts = []

    def begin(self, action):
        self.contexts.append(ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(action))))

    def add(self, action, name, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # of another architecture
            return
        array = (Comparison * len(comparisons))(*comparisons)
        result = self.library.seccomp_rule_add_array(self.contexts[-1], ctypes.c_uint32(action), number, len(comparisons),
                                                     array)
        if result not in (0, -22, -33):  # -EINVAL and -EDOM: this architecture does not have it
            raise OSError(-result, name)

    def deny(self, name, argument, how, first, second=0):
        self.add(EPERM, name, Comparison(argument, how, first, second))

    def load(self):
        for context in reversed(self.contexts):  # the first one may not allow to add others
            result = self.library.seccomp_load(context)
            if result:
                raise OSError(-result, "seccomp_load")


def calls_of(group):
    """The system calls of a group, and those of the groups in it, as systemd knows them."""
    shown = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True).stdout
    names = {line.strip() for line in shown.splitlines()[1:] if line.strip() and not line.strip().startswith("#")}
    groups = {name for name in names if name.startswith("@")}
    return (names - groups).union(*(calls_of(name) for name in groups))


def filter_calls(filters, values):
    allowed = set()
    for value in values:
        named = set().union(*(calls_of(group) for group in value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    filters.begin(EPERM)
    for name in sorted(allowed | calls_of("@default")):
        filters.add(ALLOW, name)


def filter_rest(filters, given):
    filters.begin(ALLOW)
    if "MemoryDenyWriteExecute" in given:
        filters.deny("mmap", 2, MASKED_EQUAL, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC)
        filters.deny("mprotect", 2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC)
        filters.deny("pkey_mprotect", 2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC)
        filters.deny("shmat", 2, MASKED_EQUAL, SHM_EXEC, SHM_EXEC)
    if "RestrictRealtime" in given:
        for policy in (SCHED_FIFO, SCHED_RR):
            filters.deny("sched_setscheduler", 1, EQUAL, policy)
    if "RestrictSUIDSGID" in given:
        for name, argument in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2)):
            for bit in (0o4000, 0o2000):
                filters.deny(name, argument, MASKED_EQUAL, bit, bit)
    for setting, names in (("LockPersonality", ["personality"]), ("RestrictNamespaces", ["unshare", "setns", "clone3"])):
        for name in names if setting in given else ():
            filters.add(0x00050026 if name == "clone3" else EPERM, name)  # ENOSYS: the library then uses clone
    for family in set(range(64)) - {FAMILIES[name] for name in given["RestrictAddressFamilies"][0].split()}:
        filters.deny("socket", 0, EQUAL, family)


def mounts(given, folder):
    """The file system as the service sees it: all read-only but its own folders."""
    checked(libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS), "unshare")
    mount("--make-rprivate", "/")
    mount("--bind", f"{folder}/etc/mosquitto", "/etc/mosquitto")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    own = []
    for setting, above in STATE.items():
        for name in given.get(setting, []):
            place = f"{above}/{name}"
            os.makedirs(place, exist_ok=True)
            os.makedirs(folder + place, exist_ok=True)
            os.chown(folder + place, *given["ids"])
            mount("--bind", folder + place, place)
            own.append(place)
    assert given["ProtectSystem"] == ["strict"] and given["ProtectHome"] == ["yes"] and given["PrivateTmp"] == ["yes"], given
    for place in ("/tmp", "/var/tmp", "/home", "/root"):
        mount("-t", "tmpfs", "-o", "mode=1777" if place.endswith("tmp") else "mode=0", "tmpfs", place)
    for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
        place = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), line.split()[1])
        stays = place in (*own, "/tmp", "/var/tmp") or place.startswith(("/proc", "/dev", "/sys"))
        if not stays and os.path.ismount(place):
            mount("-o", "remount,bind,ro", place)
    assert given["ProtectProc"] == ["invisible"] and given["ProcSubset"] == ["pid"], given
    mount("-t", "proc", "-o", "hidepid=invisible,subset=pid", "proc", "/proc")


def main():
    drop_in, folder, *command = sys.argv[1:]
    given = settings(pathlib.Path(drop_in).read_text())
    known = {*LEFT_OUT, *STATE, "User", "UMask", "LimitNOFILE", "NoNewPrivileges", "CapabilityBoundingSet", "ProtectSystem",
             "ProtectHome", "PrivateTmp", "ProtectProc", "ProcSubset", "RestrictAddressFamilies", "RestrictNamespaces",
             "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute", "SystemCallArchitectures",
             "SystemCallFilter"}
    assert set(given) <= known, f"settings that this does not know: {set(given) - known}"
    user = pwd.getpwnam(given["User"][0])
    given["ids"] = (user.pw_uid, user.pw_gid)
    filters = Filters()
    filter_calls(filters, given["SystemCallFilter"])
    filter_rest(filters, given)
    mounts(given, folder)
    limit = int(given["LimitNOFILE"][0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.umask(int(given["UMask"][0], 8))
    assert given["CapabilityBoundingSet"] == [""] and given["NoNewPrivileges"] == ["yes"], given
    for capability in range(LAST_CAPABILITY + 1):
        checked(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl")
    os.chdir("/")
    os.setgroups([])
    os.setresgid(*[user.pw_gid] * 3)
    os.setresuid(*[user.pw_uid] * 3)
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    filters.load()
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
