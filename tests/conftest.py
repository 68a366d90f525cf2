"""Before any test imports torch: one thread each, since several test processes share the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
