"""Train to the end undisturbed, then again with kill -9 at random moments; imports are paid once, the runs are forks.

python -m tests.support.kill_and_resume FOLDER KILLS SEED [mutual|tn|tasks]
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch._dynamo  # noqa: F401 - the optimizer would import it in every fork

from tests.support.toy import ToyFactory, train_toy
from tests.support.toy_mutual import train_mutual
from tests.support.toy_simultaneous import train_tn
from tests.support.toy_tasks import train_tasks


def start(folder: Path, log: Path, system: str) -> int:
    """Fork a training run; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 2)
    # saved every 5 ms or so: kills fall into saving, too
    often = {"checkpoint_minutes": 0.005 / 60, "accum_grad": 2}
    if system == "mutual":
        train_mutual(folder, max_epoch=4, **often)
    elif system == "tasks":
        train_tasks(folder, max_epoch=4, **often)
    elif system == "tn":
        train_tn(folder, max_epoch=4, **often)
    else:
        train_toy(folder, train=ToyFactory(utterances=150), max_epoch=12, patience=9, **often)
    os._exit(0)


def finished(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def main(folder: Path, kills: int, seed: int, system: str = "toy") -> None:
    begun = time.monotonic()
    assert os.waitpid(start(folder / "undisturbed", folder / "undisturbed.log", system), 0)[1] == 0
    duration = time.monotonic() - begun
    moments = random.Random(seed)
    done = ends = 0
    while done < kills:
        pid = start(folder / "killed", folder / "killed.log", system)
        time.sleep(moments.uniform(0.02, duration / kills * 1.5))
        if finished(pid):  # killing a finished run proves nothing: begin again
            ends += 1
            assert ends < 5
            (folder / "killed").rename(folder / f"complete{ends}")
            continue
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        done += 1
    assert os.waitpid(start(folder / "killed", folder / "killed.log", system), 0)[1] == 0
    print(json.dumps({"seconds": duration, "kills": done}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
