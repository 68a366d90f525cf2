"""Before any test: one thread each, since test processes share the cores, and a Ctrl-C that children can receive."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it, and so do its children
