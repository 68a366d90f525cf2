"""The environment: exact pins that are what is installed, an installer that trusts only a finished .venv."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)( ; python_version [<>=]+ \"[0-9.]+\")?")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def pins(name: str, python: str = PYTHON) -> dict[str, str]:
    """What a requirement file pins for one version of Python."""
    lines = (ROOT / "tools" / name).read_text().splitlines()
    found: dict[str, str] = {}
    for line in lines:
        if not line.startswith("#"):
            match = PIN.fullmatch(line)
            assert match, f"tools/{name}: '{line}' is not an exact pin (name==version, no local version)"
            if not match[3] or Marker(match[3].removeprefix(" ; ")).evaluate({"python_version": python}):
                assert match[1] not in found
                found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_installed_is_what_the_pins_say(name: str) -> None:
    for package, version in pins(name).items():
        assert importlib.metadata.version(package).partition("+")[0] == version, package


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_no_package_is_pinned_twice(python: str) -> None:
    names = [name for file in ROOT.glob("tools/requirements*.txt") for name in pins(file.name, python)]
    assert len(names) == len(set(names))
    assert "espnet" in names
    assert not {"transformers", "tokenizers"} & set(pins("requirements.txt"))  # the benchmarks' peer stays out


def test_espnet_imports_without_a_download_and_torchaudio_without_cuda() -> None:
    program = (
        "import nltk, torchaudio.compliance.kaldi\n"
        "nltk.data.find('taggers/averaged_perceptron_tagger_eng.zip'), nltk.data.find('corpora/cmudict.zip')"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["espnet.task", "training.trial", "training.trainer", "models.asr"])
def test_espnets_task_comes_without_what_no_system_uses(module: str) -> None:
    """Whichever of our modules comes first; and it says nothing."""
    program = (
        f"import sys, espnet_ext.{module}, espnet_ext.espnet.task\n"
        "found = {'torch._dynamo', 'numba', 'transformers', 'espnet2.gan_tts'} & set(sys.modules)\n"
        "sys.exit(', '.join(found) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr.strip()) == (0, "", ""), result.stdout + result.stderr


def test_a_configuration_is_explained_without_espnets_noise() -> None:
    words = [sys.executable, "-m", "espnet_ext.train", "--explain", "egs/mini/conf/asr.yaml"]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "max_epoch: 11    # egs/mini/conf/asr.yaml" in result.stdout
    assert "Flash Attention" not in result.stdout + result.stderr


def test_espnets_training_finds_its_count_of_errors() -> None:
    import editdistance

    assert editdistance.eval(["the", "old", "cat"], ["the", "cat", "sat"]) == 2
    assert editdistance.eval("kitten", "sitting") == 3


# Stands for python3, and for pip, uv and python inside the .venv that it makes; writes down what is asked of it.
STUB = """#!/usr/bin/env bash
[ "$*" != --version ] || exec cat "$(dirname "$0")/version"
echo "$(basename "$0") $*" >> "$LOG"
[ ! -f "$LOG.fail" ] || ! grep -qF "$(basename "$0") " "$LOG.fail" || exit 1
if [ "${1:-} ${2:-}" = "-m venv" ]; then
    mkdir -p .venv/bin
    for name in pip uv python; do cp "$0" ".venv/bin/$name"; done
fi
"""


class Installer:
    """A copy of tools/ whose programs only write down what they were asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "tools", root / "tools")
        self.log = root / "log"
        self.stubs = root / "stubs"
        self.stubs.mkdir()
        self.stub("python3")
        self.python_is("3.11.7")

    def python_is(self, version: str) -> None:
        (self.stubs / "version").write_text(f"Python {version}\n")

    def stub(self, name: str, text: str = STUB) -> None:
        (self.stubs / name).write_text(text)
        (self.stubs / name).chmod(0o755)

    def run(self, script: str, *arguments: str, first: Path | None = None) -> tuple[int, list[str], str]:
        """Exit status, what the stubs were asked, and the messages; `first` leads PATH."""
        self.log.unlink(missing_ok=True)
        path = [str(first)] if first else []
        result = subprocess.run(
            [self.root / "tools" / script, *arguments],
            env={"PATH": ":".join([*path, str(self.stubs), os.environ["PATH"]]), "LOG": str(self.log)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return result.returncode, self.log.read_text().splitlines() if self.log.exists() else [], result.stderr


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    return Installer(tmp_path)


def test_the_second_run_does_nothing(installer: Installer) -> None:
    status, asked, _ = installer.run("install.sh")
    assert status == 0
    assert [line for line in asked if line.startswith("uv")] == [
        "uv pip install -q torch -c tools/requirements.txt",
        "uv pip install -q --no-deps -r tools/requirements.txt -r tools/requirements-dev.txt",
    ]
    assert installer.run("install.sh") == (0, [], "")


def test_changed_pins_and_half_built_environments_are_built_afresh(installer: Installer) -> None:
    installer.run("install.sh")
    leftover = installer.root / ".venv" / "leftover"
    leftover.touch()
    with open(installer.root / "tools" / "requirements-dev.txt", "a") as stream:
        stream.write("another==1.0\n")
    assert installer.run("install.sh")[1]
    assert not leftover.exists()

    (installer.root / ".venv" / ".built_from").unlink()
    leftover.touch()
    assert installer.run("install.sh")[1]
    assert not leftover.exists()


def test_another_python_builds_afresh_and_a_bug_fix_of_it_does_not(installer: Installer) -> None:
    installer.run("install.sh")
    python = installer.root / ".venv" / "bin" / "python3"
    python.write_text("#!/usr/bin/env bash\necho Python 3.11.7\n")  # as make has it, before the user's
    python.chmod(0o755)
    installer.python_is("3.11.9")
    assert installer.run("install.sh", first=python.parent)[1] == []
    installer.python_is("3.13.5")
    assert installer.run("install.sh", first=python.parent)[1]
    assert not python.exists()


@pytest.mark.parametrize("version", ["3.10.12", "3.14.0"])
def test_a_python_without_wheels_is_refused_and_the_environment_kept(installer: Installer, version: str) -> None:
    installer.run("install.sh")
    installer.python_is(version)
    status, asked, errors = installer.run("install.sh")
    assert (status, asked) == (1, [])
    assert f"python3 is Python {version.rpartition('.')[0]}; put Python 3.11, 3.12 or 3.13" in errors
    assert (installer.root / ".venv").exists()


def test_a_failed_installation_is_not_trusted(installer: Installer) -> None:
    Path(f"{installer.log}.fail").write_text("uv \npip ")
    assert installer.run("install.sh")[0] != 0
    Path(f"{installer.log}.fail").unlink()
    status, asked, _ = installer.run("install.sh")
    assert status == 0 and asked


def test_pip_takes_over_where_uv_fails(installer: Installer) -> None:
    Path(f"{installer.log}.fail").write_text("uv ")
    status, asked, errors = installer.run("install.sh")
    assert status == 0
    assert "pip install -q torch -c tools/requirements.txt" in asked
    assert "trying pip" in errors


def test_the_benchmarks_peer_is_added_once(installer: Installer) -> None:
    installer.run("install.sh")
    expected = ["uv pip install -q --no-deps -r tools/requirements-bench.txt"]
    assert [line for line in installer.run("install.sh", "bench")[1] if line.startswith("uv")] == expected
    assert installer.run("install.sh", "bench") == (0, [], "")


@pytest.mark.parametrize(("user", "status"), [("0", 0), ("1000", 1)])
def test_system_packages_are_installed_or_named(installer: Installer, user: str, status: int) -> None:
    installer.stub("dpkg-query", '#!/usr/bin/env bash\n[ "${!#}" != sox ] || echo "install ok installed"\n')
    installer.stub("id", f"#!/usr/bin/env bash\necho {user}\n")
    installer.stub("apt-get")
    found, asked, errors = installer.run("system.sh", "sox", "ffmpeg")
    assert found == status
    command = "apt-get install -y --no-install-recommends ffmpeg"
    if user == "0":
        assert asked == ["apt-get update -qq", f"{command} -qq"]
    else:
        assert asked == []
        assert f"sudo {command}" in errors


def test_nothing_is_asked_of_apt_when_all_is_there(installer: Installer) -> None:
    installer.stub("dpkg-query", '#!/usr/bin/env bash\necho "install ok installed"\n')
    assert installer.run("system.sh", "sox", "ffmpeg") == (0, [], "")


def test_make_help_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    result = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True)
    listed = re.findall(r"^make ([\w-]+) ", result.stdout, re.MULTILINE)
    assert sorted([*listed, "environment"]) == sorted(targets[1].split())
    assert {"setup", "demo", "test", "check", "bench", "clean"} <= set(listed)
