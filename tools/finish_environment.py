"""Mend the freshly installed environment that runs this: four things that no requirement file can say."""

import sys
import sysconfig
import zipfile
from pathlib import Path

import torch

packages = Path(sysconfig.get_paths()["purelib"])

# `python -m espnet_ext.<command>` works from every folder.
(packages / "espnet_ext.pth").write_text(f"{Path(__file__).resolve().parent.parent}\n", encoding="utf-8")

# torchaudio's native libraries link CUDA and fail to load beside a CPU torch; ESPnet needs only the Python part.
if torch.version.cuda is None:
    for library in (packages / "torchaudio" / "lib").glob("*.so"):
        library.unlink()

# ESPnet imports g2p_en, which downloads these whenever it does not find them; nothing here reads them.
for name in ("taggers/averaged_perceptron_tagger_eng.zip", "corpora/cmudict.zip"):
    archive = Path(sys.prefix, "nltk_data", name)
    archive.parent.mkdir(parents=True, exist_ok=True)
    zipfile.ZipFile(archive, "w").close()

# ESPnet's training counts its errors by editdistance, which has no wheel for Python 3.13; rapidfuzz counts the same.
(packages / "editdistance.py").write_text("from rapidfuzz.distance.Levenshtein import distance as eval\n")
