# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the tests of generated clients share. The environment of harness.py, and:

    RPC_TOOL        the command-line tool mosquitto_rpc
    RPC_REFERENCE   the program that prints the description of the test plugin's modules
    RPC_COMPILERS   compilers of C, separated by spaces
    RPC_LIBRARIES   what a program with clients/c is linked with
"""
import os
import pathlib
import shlex
import subprocess
import tempfile

from harness import ROOT, TIMEOUT

HERE = pathlib.Path(__file__).resolve().parent
BUILD = ROOT / "build"
TOOL = os.environ.get("RPC_TOOL") or str(BUILD / "tool/mosquitto_rpc")
REFERENCE = os.environ.get("RPC_REFERENCE") or str(BUILD / "test/documents/documents_reference")
COMPILERS = (os.environ.get("RPC_COMPILERS") or "cc").split()
LIBRARIES = shlex.split(os.environ.get("RPC_LIBRARIES") or f"{BUILD}/clients/c/librpc_client.a -lmosquitto -lcjson -lm")
OPTIONS = ["sensor_db :memory:", "max_reply 1m"]  # the description of all test modules is large
LANGUAGES = ("python", "typescript", "c")
C_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", f"-I{ROOT}/clients/c"]


def run(*command, folder=None, status=0, given=None, **environment):
    """Runs a program to its end, which must have this status (None: any); returns what it has written."""
    ended = subprocess.run(list(map(str, command)), cwd=folder, input=given, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=5 * TIMEOUT, check=False,
                           env={**os.environ, "LD_PRELOAD": "", "HOME": "/nonexistent", **environment})
    assert status is None or ended.returncode == status, f"{command} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout


def document():
    """The description of the test plugin's modules, as text."""
    return run(REFERENCE, "openrpc")


def generate(language, folder, *options, given=None, name="home", status=0):
    """Has the tool write a client into a folder; returns what the tool says."""
    source = ["--from", "-"] if given is not None else []
    return run(TOOL, "generate", "--language", language, "--name", name, "--output", folder, *source, *options,
               given=given, status=status)


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir()) if path.is_file()}


def new_folder(test):
    folder = tempfile.TemporaryDirectory(prefix="rpc-generate-")
    test.addCleanup(folder.cleanup)
    return pathlib.Path(folder.name)
