"""Packs made by a stranger: hashes that are right, and sizes, types, paths and configurations that are not."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
import yaml

from espnet_ext import pack, translate
from espnet_ext.packing import read, trust
from espnet_ext.packing.layout import FORMATS, MANIFEST
from espnet_ext.packing.write import describe
from tests.support.tiny_exp import make_dump, make_system
from tests.test_models import build


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("trust")
    make_dump(root)
    for name in ("asr", "mt"):
        make_system(root, name)
    make_system(root, "pipeline", asr="../asr", mt="../mt")
    for name in ("asr", "mt", "pipeline"):
        pack.pack(root / "exp" / name, root / f"{name}.zip")
    return root


def remade(root, out, name="asr", manifest=None, **changes):
    """A pack of other members, whose manifest is right; `a__b` stands for a/b, and None leaves a member out."""
    with zipfile.ZipFile(root / f"{name}.zip") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist() if info.filename != MANIFEST}
    for key, value in changes.items():
        key = key.replace("__", "/").replace("_yaml", ".yaml").replace("_pth", ".pth").replace("_st", ".safetensors")
        members[key] = value
    members = {key: value for key, value in members.items() if value is not None}
    entries = {key: describe(value) for key, value in members.items()}
    if manifest is None:
        manifest = json.dumps({"format": FORMATS[1], "members": entries}).encode()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(MANIFEST, manifest(entries) if callable(manifest) else manifest)
        for key, value in members.items():
            archive.writestr(key, value)
    return out


def config_of(root, name="asr", **changes):
    config = yaml.safe_load((root / "exp" / name / "config.yaml").read_text())
    return yaml.safe_dump({**config, **changes}).encode()


def refused(path, message):
    """It is refused in one line, by the command as by the function."""
    with pytest.raises(pack.PackError, match=message) as error:
        pack.load(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    with pytest.raises(SystemExit, match=message):
        translate.main(["--exp", str(path), "x.wav"])


LAUGHS = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
for depth in range(1, 10):
    LAUGHS.append(f"&a{depth} [{', '.join(f'*a{depth - 1}' for _ in range(10))}]")

CONFIGS = {
    "no list": (b"- 1\n", "no list of options"),
    "nothing": (b"", "no list of options"),
    "no YAML": (b"a: [", "cannot be loaded: .*(while parsing|did not find)"),
    "no UTF-8": (b"a: \xff", "cannot be loaded: .*decode"),
    "an experiment of ESPnet": (b"token_list: [a]\nbpemodel: /etc/passwd\n", "does not say model"),
    "billion laughs": (
        ("laughs:\n" + "\n".join(f"- {line}" for line in LAUGHS) + "\nmodel: *a9\n").encode(),
        "over 1000000 values",
    ),
    "something that holds itself": (b"model: &a [*a]\n", "holds itself"),
    "a deep list": (b"model: " + b"[" * 100_000 + b"]" * 100_000, "within each other|cannot be loaded"),
    "code": (b"model: !!python/object/apply:os.system [true]\n", "could not determine a constructor"),
    "a long number": (b"model: " + b"1" * 10_000, "cannot be loaded"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_that_no_training_writes(name, root, tmp_path):
    content, message = CONFIGS[name]
    refused(remade(root, tmp_path / "x.zip", config_yaml=content), message)


VALUES = {
    "a path for tokens": ({"token_list": "/dev/zero"}, "token_list is not a list of tokens; a path is not taken"),
    "numbers for tokens": ({"src_token_list": [1, 2]}, "src_token_list is not a list of tokens"),
    "a system outside": ({"asr": "/etc"}, "asr leads out of the pack"),
    "a system beside": ({"mt": "../mt"}, "mt leads out of the pack"),
    "a model of another kind": ({"model": ["e2e"]}, r"model \"\['e2e'\]\"; choose from asr"),
    "a model that is none": ({"model": "../evil"}, "model '../evil'; choose from asr"),
    "a language that is a path": ({"src_lang": "../../x"}, "src_lang is not the code of a language"),
    "a language that is a number": ({"tgt_lang": 3}, "tgt_lang is not the code of a language"),
    "a million blocks": ({"encoder_conf": {"num_blocks": 10**6}}, "encoder: num_blocks is over 100000"),
    "many blocks": (
        {"encoder_conf": {"num_blocks": 90_000, "output_size": 16, "attention_heads": 2, "linear_units": 24}},
        "describes a larger model than its weights",
    ),
    "wide layers": (
        {"encoder_conf": {"num_blocks": 2, "output_size": 99_996, "attention_heads": 2, "linear_units": 99_996}},
        "describes a larger model than its weights",
    ),
    "infinite": ({"encoder_conf": {"dropout_rate": float("inf")}}, "dropout_rate is over"),
    "a list for a section": ({"decoder_conf": [1]}, "decoder is not a section of options"),
    "a text for a number": ({"encoder_conf": {"num_blocks": "many"}}, "cannot be loaded: "),
    "an option that is none": ({"model_conf": {"evil": 1}}, "cannot be loaded: TypeError: .*evil"),
    "a number for a name": ({"encoder": 3}, "cannot be loaded: "),
    "a wide beam": ({"decode": {"beam": 10**5}}, "decode: beam is over 1000"),
    "a text for the beam": ({"decode": {"beam": "x"}}, "beam|not supported"),
    "an input of a wrong size": ({"input_size": 10**9}, "input_size is over 100000"),
    "another width": (
        {"encoder_conf": {"num_blocks": 2, "output_size": 32, "attention_heads": 2, "linear_units": 24}},
        "do not belong together|cannot be loaded",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_that_no_training_writes(name, root, tmp_path):
    changes, message = VALUES[name]
    refused(remade(root, tmp_path / "x.zip", config_yaml=config_of(root, **changes)), message)


def test_a_pipeline_takes_its_parts_from_the_pack_alone(root, tmp_path):
    for part in ("asr", "mt"):
        config = config_of(root, "pipeline", **{"asr": "asr", "mt": "mt", part: str(root / "exp" / part)})
        refused(remade(root, tmp_path / "x.zip", "pipeline", config_yaml=config), f"{part} leads out of the pack")
    inner = config_of(root, "asr", token_list="/dev/zero")
    refused(remade(root, tmp_path / "x.zip", "pipeline", asr__config_yaml=inner), "a path is not taken")
    refused(remade(root, tmp_path / "x.zip", "pipeline", mt__model_st=None), "cannot be loaded: .*not there")


def of_manifest(change):
    return lambda entries: json.dumps({"format": FORMATS[1], "members": change(entries)}).encode()


def with_sizes(size):
    return of_manifest(lambda entries: {name: {**entry, "size": size} for name, entry in entries.items()})


MANIFESTS = {
    "infinite sizes": (
        of_manifest(lambda e: {k: {**v, "size": float("inf")} for k, v in e.items()}),
        "no whole number",
    ),
    "sizes that are lies": (
        of_manifest(lambda e: {k: {**v, "size": 10**15} for k, v in e.items()}),
        "its hash differs",
    ),
    "true for a size": (of_manifest(lambda e: {k: {**v, "size": True} for k, v in e.items()}), "no whole number"),
    "a list of members": (of_manifest(list), "missing or damaged"),
    "a number": (b"3", "missing or damaged"),
    "a deep list": (b"[" * 100_000, "missing or damaged"),
    "another format": (b'{"format": ["evil\\u001b"], "members": {}}', r"says format '\['evil\\x1b'\]'"),
    "a megabyte of spaces": (b" " * (2 << 20), r"'manifest.json' has 2097152 bytes, over 1048576"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_that_lie(name, root, tmp_path):
    manifest, message = MANIFESTS[name]
    refused(remade(root, tmp_path / "x.zip", manifest=manifest), message)


def test_members_that_are_too_large_or_none_of_a_pack(root, tmp_path):
    refused(remade(root, tmp_path / "x.zip", config_yaml=b" " * (5 << 20)), "'config.yaml' has .* bytes, over 4194304")
    refused(remade(root, tmp_path / "x.zip", evil=b""), "'evil' is nothing that a pack holds")
    refused(remade(root, tmp_path / "x.zip", asr__asr__config_yaml=b""), "is nothing that a pack holds")
    many = {f"subwords__{n}__tokens.txt": b"" for n in range(100)}
    refused(remade(root, tmp_path / "x.zip", **many), "its members are too many")


def test_members_that_share_their_bytes(root, tmp_path):
    """A list of members that all point to the same place in the file makes it as large as one likes."""
    path = remade(root, tmp_path / "x.zip")
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("mt/model.safetensors", "asr/model.safetensors", "asr/model.pth", "mt/model.pth", "model.pth"):
            twin = zipfile.ZipInfo(name)
            first = archive.getinfo("model.safetensors")
            for field in ("header_offset", "CRC", "compress_size", "file_size", "compress_type", "external_attr"):
                setattr(twin, field, getattr(first, field))
            archive.filelist.append(twin)
            archive.NameToInfo[name] = twin
        archive._didModify = True
    refused(path, "larger than the file")


def test_a_list_of_members_is_not_read_whole(root, tmp_path, monkeypatch):
    path = remade(root, tmp_path / "x.zip")
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(3000):
            archive.writestr(f"{number:0200d}", b"")
    monkeypatch.setattr(read, "MOST_AT_ONCE", 1 << 19)
    refused(path, "its list of members has .* bytes")


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def deflated(data):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    return out.getvalue()


def test_weights_that_are_none(root, tmp_path):
    state = torch.load(root / "exp/asr/model.pth", weights_only=True)
    name = next(iter(state))
    for weights, message in (
        ({"model_pth": deflated(saved(state))}, "model.pth: is compressed"),
        ({"model_pth": saved([1, 2])}, "does not hold parameters by their names"),
        ({"model_pth": saved({"x": 1})}, "does not hold parameters by their names"),
        ({"model_pth": b"nothing"}, "not a zip file"),
        (
            {"model_pth": saved({k: v for k, v in state.items() if k != name})},
            "do not belong together",
        ),
    ):
        refused(remade(root, tmp_path / "x.zip", model_st=None, **weights), message)
    for weights in (b"", b"\xff" * 100, (10**12).to_bytes(8, "little") + b"{}", np.zeros(100).tobytes()):
        refused(remade(root, tmp_path / "x.zip", model_st=weights), "cannot be loaded: ")
    refused(remade(root, tmp_path / "x.zip", model_st=None), "cannot be loaded: .*not there")


def test_subwords_that_are_none(root, tmp_path):
    refused(remade(root, tmp_path / "x.zip", **{"subwords__en__model.spm": b"\xff" * 1000}), "cannot be loaded: ")
    refused(remade(root, tmp_path / "x.zip", **{"subwords__en__tokens.txt": b"a\n"}), "does not fit model.spm")


def test_a_full_disk_is_no_fault_of_the_pack(root, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(read, "open", lambda path, mode: Full(), raising=False)
    with pytest.raises(pack.PackError, match=r"cannot be unpacked to .* \(No space left on device\); make room"):
        pack.unpack(root / "asr.zip", tmp_path / "out")


@pytest.mark.parametrize("name", ["asr", "pipeline"])
@pytest.mark.parametrize("weights", ["safetensors", "pth"])
def test_both_kinds_of_weights_load_the_same(name, weights, root, tmp_path):
    names = pack.pack(root / "exp" / name, tmp_path / "x.zip", weights)
    assert {n.rpartition("/")[2] for n in names if "model." in n and ".spm" not in n} == {f"model.{weights}"}
    found, wanted = (pack.load(p).model.state_dict() for p in (tmp_path / "x.zip", root / "exp" / name))
    assert all(torch.equal(value, wanted[key]) for key, value in found.items()) and found.keys() == wanted.keys()


def test_packs_of_before_are_read(root, tmp_path):
    """Format 1: a pickle and no card."""
    state = (root / "exp/asr/model.pth").read_bytes()

    def old(entries):
        return json.dumps({"format": FORMATS[0], "members": entries}).encode()

    path = remade(root, tmp_path / "x.zip", manifest=old, model_st=None, model_pth=state, **{"README.md": None})
    assert pack.load(path).model.state_dict().keys() == torch.load(root / "exp/asr/model.pth").keys()


def test_a_matrix_that_two_layers_share(root, tmp_path):
    exp = make_system(root, "tied", model="mt", model_conf={"share_decoder_input_output_embed": True})
    pack.pack(exp, tmp_path / "x.zip")
    model = pack.load(tmp_path / "x.zip").model
    assert model.decoder.output_layer.weight is model.decoder.embed[0].weight
    make_system(root, "mt")


@pytest.mark.parametrize("name", ["e2e", "multitask", "interactive", "two_stage", "mutual", "tight"])
def test_every_kind_of_system_is_built_within_its_budget(name, tmp_path):
    """Without memory, and no further than its own weights go."""
    model = build(name, tmp_path)
    numbers = [value.numel() for value in model.state_dict().values()]
    with torch.device("meta"), trust.budget(2 * len(numbers), 2 * sum(numbers)):
        again = build(name, tmp_path)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
