"""Speech translation recipes on ESPnet: data, models, search, scoring."""

import os

__version__ = "0.1.0"

# OpenMP's threads spin while they wait for each other. Alone on the cores that is fast; beside two busy processes on
# two cores it makes a training step 14 times as slow. After so short a spin they sleep: as fast alone, 2.4 times as
# fast in company.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
