"""Packing: whole, the same bytes each time, and nothing in a pack is trusted before it was checked."""

import json
import stat
import zipfile

import pytest
import torch

from espnet_ext import pack
from espnet_ext.packing.layout import MANIFEST
from espnet_ext.packing.write import describe
from tests.support.tiny_exp import make_dump, make_system


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("pack")
    make_dump(root)
    for name in ("asr", "mt"):
        make_system(root, name)
    make_system(root, "pipeline", asr="../asr", mt="../mt")
    (root / "exp" / "asr" / "run.json").write_text("{}")
    (root / "exp" / "asr" / "3epoch.pth").write_text("not needed to decode")
    return root


@pytest.fixture
def packed(root, tmp_path):
    pack.pack(root / "exp" / "asr", tmp_path / "asr.zip")
    return tmp_path / "asr.zip"


def rewrite(path, change):
    """Change the members {name: (ZipInfo, bytes)} of a zip file, or its manifest."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in change(members):
            archive.writestr(info, data)
    return path


def with_member(path, info, data=b"evil"):
    """Add a member that the manifest knows, so that only its name or kind is wrong."""
    entry = describe(data)

    def change(members):
        for old, content in members:
            if old.filename == MANIFEST:
                manifest = json.loads(content)
                manifest["members"][info.filename] = entry
                content = json.dumps(manifest).encode()
            yield old, content
        yield info, data

    return rewrite(path, change)


def test_members(root, packed):
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
    assert names[0] == MANIFEST
    assert {
        "README.md",
        "config.yaml",
        "model.safetensors",
        "run.json",
        "subwords/en/model.spm",
        "subwords/en/tokens.txt",
    } <= set(names)
    assert "3epoch.pth" not in names


def test_the_same_bytes_each_time(root, packed, tmp_path):
    pack.pack(root / "exp" / "asr", tmp_path / "again.zip")
    assert packed.read_bytes() == (tmp_path / "again.zip").read_bytes()


@pytest.mark.parametrize("name", ["asr", "pipeline"])
def test_a_pack_loads_elsewhere(root, tmp_path, name):
    pack.pack(root / "exp" / name, tmp_path / "system.zip")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    loaded = pack.load((tmp_path / "system.zip").rename(moved / "s.zip"))
    expected = pack.load(root / "exp" / name).model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.model.state_dict().items())
    assert loaded.src_subwords.decode(loaded.src_subwords.encode("a cat")) == "a cat"


def test_a_changed_byte_names_its_member(packed, tmp_path):
    with zipfile.ZipFile(packed) as archive:
        place = archive.getinfo("model.safetensors").header_offset + 200
    data = bytearray(packed.read_bytes())
    data[place] ^= 1
    packed.write_bytes(data)
    with pytest.raises(pack.PackError, match=r"asr\.zip: member 'model\.safetensors' is damaged"):
        pack.unpack(packed, tmp_path / "out")


def test_a_replaced_member_is_refused_though_its_checksum_is_right(packed, tmp_path):
    rewrite(packed, lambda members: [(i, b"seed: 2\n" if i.filename == "config.yaml" else d) for i, d in members])
    with pytest.raises(pack.PackError, match=r"member 'config.yaml' is not what was packed"):
        pack.unpack(packed, tmp_path / "out")
    assert not (tmp_path / "out" / "config.yaml").exists()


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(packed, tmp_path, keep):
    packed.write_bytes(packed.read_bytes()[: int(packed.stat().st_size * keep)])
    # The end of model.pth, itself a zip file, may be taken for the end of the pack.
    with pytest.raises(pack.PackError, match=r"asr\.zip: .*fetch it again"):
        pack.unpack(packed, tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/tmp/evil.txt", "subwords/../../evil.txt", "a\\..\\evil.txt", "C:evil"]
)
def test_paths_outside_the_folder_are_refused(packed, tmp_path, name):
    with_member(packed, zipfile.ZipInfo(name))
    with pytest.raises(pack.PackError, match="would lie outside its folder") as error:
        pack.unpack(packed, tmp_path / "out")
    assert name in str(error.value)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR])
def test_links_and_other_things_are_refused(packed, tmp_path, kind):
    info = zipfile.ZipInfo("subwords/link")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    with_member(packed, info, b"../../target")
    with pytest.raises(pack.PackError, match="'subwords/link' is not a plain file"):
        pack.unpack(packed, tmp_path / "out")


def test_members_and_manifest_must_agree(packed, tmp_path):
    copy = packed.read_bytes()
    rewrite(packed, lambda members: [*members, (zipfile.ZipInfo("model.pth"), b"x")])
    with pytest.raises(pack.PackError, match=r"'model.pth' does not agree"):
        pack.unpack(packed, tmp_path / "out")
    packed.write_bytes(copy)
    rewrite(packed, lambda members: [(info, data) for info, data in members if info.filename != "model.safetensors"])
    with pytest.raises(pack.PackError, match=r"'model.safetensors' does not agree"):
        pack.unpack(packed, tmp_path / "out")
    packed.write_bytes(copy)
    rewrite(packed, lambda members: [(info, data) for info, data in members if info.filename != MANIFEST])
    with pytest.raises(pack.PackError, match=r"'manifest.json' is missing"):
        pack.unpack(packed, tmp_path / "out")


def test_a_member_larger_than_it_says_is_not_written(packed, tmp_path):
    bomb = zipfile.ZipInfo("run.json")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    rewrite(
        packed, lambda members: [(bomb, b"0" * 50_000_000) if i.filename == "run.json" else (i, d) for i, d in members]
    )
    with pytest.raises(pack.PackError, match=r"larger than the file"):
        pack.unpack(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    rewrite(packed, lambda members: [(bomb, b"0 1") if i.filename == "run.json" else (i, d) for i, d in members])
    with pytest.raises(pack.PackError, match=r"'run\.json' is compressed, which packs are not"):
        pack.unpack(packed, tmp_path / "out")


def test_weights_that_run_code_are_refused(root, tmp_path):
    """A pack whose hashes are right may still be hostile."""
    exp = make_system(root, "asr", model="e2e")
    config = (exp / "config.yaml").read_text()

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"encoder": Evil()}, exp / "model.pth")
    assert "model: e2e" in config
    pack.pack(exp, tmp_path / "evil.zip", weights="pth")
    with pytest.raises(pack.PackError, match=r"model\.pth: holds more than tensors, or is damaged; do not use"):
        pack.load(tmp_path / "evil.zip")
    with pytest.raises(SystemExit, match=r"(?i)error: .*model\.pth: .*weights.only"):
        pack.main([str(exp), str(tmp_path / "evil.zip")])
    assert not (tmp_path / "owned").exists()


def test_what_cannot_be_packed_says_why(root, tmp_path, capsys):
    (tmp_path / "exp").mkdir()
    for content, message in (
        (None, "no config.yaml"),
        ("seed: 1\n", "an experiment of ESPnet"),
        ("src_lang: en\n", "no model"),
    ):
        if content:
            (tmp_path / "exp" / "config.yaml").write_text(content)
        with pytest.raises(SystemExit, match=message):
            pack.main([str(tmp_path / "exp"), str(tmp_path / "out.zip")])
    assert not (tmp_path / "out.zip").exists()
    pack.main([str(root / "exp" / "mt"), str(tmp_path / "mt.zip")])
    assert "mt.zip: " in capsys.readouterr().out
