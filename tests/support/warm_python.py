"""A python3 for recipes under test: one process imports torch and ESPnet, and forks for each command of a recipe.

A recipe with five systems calls python3 twenty times; importing alone would take a minute of CPU.
"""

import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = (
    "espnet_ext.espnet.task",
    "espnet_ext.search.beam",
    "torch._dynamo",
    "sacrebleu",
    "jiwer",
    "matplotlib.pyplot",
    "soundfile",
)

# What a recipe calls python3: it hands its arguments and streams over, and ends with the status it is told.
CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps([os.getcwd(), sys.argv[1:]]).encode()], [0, 1, 2])
    sys.exit(int(server.recv(8) or 99))
"""


@contextmanager
def warm_python(folder: Path) -> Iterator[None]:
    """`folder`/python3 is such a program as long as this lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    address = Path(tempfile.mkdtemp()) / "socket"  # such a path has at most 108 characters
    program = folder / "python3"
    program.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_python", str(address), str(program)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield
    finally:
        server.kill()
        server.communicate()
        program.unlink()
        shutil.rmtree(address.parent)


def serve(address: str, program: str) -> None:
    for name in HEAVY:
        __import__(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes, as a sweep has some in turn
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                status = run(connection, program)
                connection.sendall(str(status).encode())
                os._exit(status)
            connection.close()


def run(connection: socket.socket, program: str) -> int:
    """Be the process that the client was meant to be."""
    message, streams, *_ = socket.recv_fds(connection, 1 << 20, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    folder, words = json.loads(message)
    os.chdir(folder)
    status = 0
    if words[1:2] == ["espnet_ext.sweep"]:
        sys.executable = program  # its commands are of this python, too
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            sys.path.insert(0, str(Path(words[0]).parent.resolve()))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve(*sys.argv[1:])
