"""The loader: the right examples put together, the same bits for any number of workers, resume, and ranks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from espnet_ext.data import ark, subwords, text
from espnet_ext.data.dataset import SpeechTextData, collate
from espnet_ext.data.loader import IterFactory
from espnet_ext.data.subwords import Subwords

COUNT = 60
KEYS = [f"u{i:03d}" for i in range(COUNT)]
WORDS = {
    "en": ["small", "house", "garden", "children", "playing"],
    "de": ["kleines", "Haus", "Garten", "Kinder", "spielen"],
}


def write_features(dump: Path, keys: list[str]) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(10, 90, len(keys))
    dump.mkdir(parents=True, exist_ok=True)
    with open(dump / ark.archive_name(0), "wb") as stream:
        places = [ark.write_matrix(stream, k, random.normal(size=(n, 80))) for k, n in zip(keys, lengths)]
    np.save(dump / ark.INDEX, ark.index_rows(keys, lengths, 0, places))


def write_text(data: Path, dump: Path, keys: list[str]) -> None:
    random = np.random.default_rng(1)
    data.mkdir(parents=True, exist_ok=True)
    for lang, words in WORDS.items():
        lines = [" ".join(random.choice(words, random.integers(1, 9))) for _ in keys]
        (data / f"text.{lang}").write_text("".join(f"{k} {line}\n" for k, line in zip(keys, lines)))
    text.main([str(data), str(dump)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loader")
    write_features(folder / "dump", KEYS)
    write_text(folder / "data", folder / "dump", KEYS)
    options = ["--langs", "en", "de", "--vocab_size", "26", "--type", "unigram"]
    subwords.main([str(folder / "sw"), "--data", str(folder / "data"), *options])
    return folder


def dataset(folder: Path, dump: str = "dump", **options: object) -> SpeechTextData:
    models = Subwords(folder / "sw" / "en"), Subwords(folder / "sw" / "de")
    return SpeechTextData(folder / dump, "en", "de", *models, **options)


def factory(folder: Path, sample: float | None = 0.2, **options: object) -> IterFactory:
    return IterFactory(dataset(folder, sample=sample), **{"batch_bins": 600, "seed": 5, **options})


def same(a: tuple, b: tuple) -> bool:
    return a[0] == b[0] and a[1].keys() == b[1].keys() and all(torch.equal(a[1][name], b[1][name]) for name in a[1])


def all_same(a: list, b: list) -> bool:
    return len(a) == len(b) and all(map(same, a, b))


def test_examples(folder: Path) -> None:
    data = dataset(folder)
    assert (len(data), list(data.keys), data.key(7)) == (COUNT, KEYS, "u007")
    lines = (folder / "data" / "text.de").read_text().split("\n")
    models = Subwords(folder / "sw" / "en"), Subwords(folder / "sw" / "de")
    for i in (0, 31, 59):
        key, parts = data[i]
        assert f"{key} {models[1].decode(parts['text'])}" == lines[i]
        assert data.lengths[i].tolist() == [len(parts[name]) for name in ("speech", "src_text", "text")]
        assert parts["speech"].dtype == np.float32 and parts["speech"].shape[1] == 80


def test_parts_by_name(folder: Path) -> None:
    data = dataset(folder, names=("src_text", "text"))
    assert data.lengths.shape == (COUNT, 2) and list(data[0][1]) == ["src_text", "text"]
    assert list(SpeechTextData(folder / "dump", names=("speech",))[3][1]) == ["speech"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("src_text",), "src_text needs its language"),
        (("sound",), "data names sound: choose from speech src_text text"),
    ],
)
def test_wrong_names(folder: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpeechTextData(folder / "dump", names=names)


@pytest.mark.parametrize("keys", [KEYS[:-1], [*KEYS[:30], "u029b", *KEYS[31:]]])
def test_parts_with_different_ids_are_refused(folder: Path, tmp_path: Path, keys: list[str]) -> None:
    write_features(tmp_path / "dump", keys)
    write_text(tmp_path / "data", tmp_path / "dump", KEYS)
    models = Subwords(folder / "sw" / "en"), Subwords(folder / "sw" / "de")
    with pytest.raises(ValueError, match=r"different ids, from number (60: nothing, u059|31: u029b, u030)"):
        SpeechTextData(tmp_path / "dump", "en", "de", *models)


def test_collate() -> None:
    items = [
        ("a", {"speech": np.ones((2, 80), np.float32), "text": np.array([5, 6, 7])}),
        ("b", {"speech": np.ones((3, 80), np.float32), "text": np.array([8])}),
    ]
    ids, batch = collate(items)
    assert ids == ["a", "b"]
    assert batch["text"].tolist() == [[5, 6, 7, -1], [8, -1, -1, -1]] and batch["text_lengths"].tolist() == [3, 1]
    assert batch["speech"].shape == (2, 32, 80) and batch["speech"].dtype == torch.float32
    assert batch["speech"][0, 2].eq(0).all() and batch["speech"].sum() == 5 * 80
    assert batch["speech_lengths"].tolist() == [2, 3] and batch["speech_lengths"].dtype == torch.int64


def test_each_example_once_an_epoch(folder: Path) -> None:
    made = factory(folder, limits=(80, None, None))
    assert made.dropped == int((dataset(folder).lengths[:, 0] > 80).sum()) > 0
    for epoch in (1, 2):
        seen = [key for ids, _ in made.build_iter(epoch) for key in ids]
        assert len(seen) == len(set(seen)) == COUNT - made.dropped
        assert len(list(made.build_iter(epoch))) == made.num_batches(epoch)


def test_an_epoch_may_be_a_part_of_the_data_another_each_time(folder: Path) -> None:
    whole, part = factory(folder), factory(folder, most=2)
    epochs = [[tuple(batch) for batch in part.batches(epoch)] for epoch in (1, 2)]
    assert epochs == [[tuple(batch) for batch in whole.batches(epoch)[:2]] for epoch in (1, 2)]
    assert epochs[0] != epochs[1] and part.num_batches(2) == 2 < whole.num_batches(2)


def test_all_examples_over_the_limit(folder: Path) -> None:
    with pytest.raises(ValueError, match="none of 60 examples is within the limits"):
        factory(folder, limits=(1, None, None))


def test_any_number_of_workers_gives_the_same_bits(folder: Path) -> None:
    alone = list(factory(folder).build_iter(3))
    assert all_same(alone, list(factory(folder, num_workers=2).build_iter(3)))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert all_same(alone, list(factory(folder).build_iter(3)))
    assert torch.equal(state, torch.get_rng_state())  # loading draws none of the training's random numbers


def test_resume_in_mid_epoch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(factory(folder).build_iter(2))
    read = []
    original = SpeechTextData.item
    monkeypatch.setattr(SpeechTextData, "item", lambda self, i, seed=(): read.append(i) or original(self, i, seed))
    tail = list(factory(folder).build_iter(2, start_batch=4))
    assert len(tail) == len(whole) - 4 and all_same(tail, whole[4:])
    assert len(read) == sum(len(ids) for ids, _ in tail)  # those before were not even read
    assert list(factory(folder).build_iter(2, start_batch=len(whole))) == []


def test_sampling_differs_by_epoch_and_is_off_where_not_asked_for(folder: Path) -> None:
    def texts(made: IterFactory, epoch: int) -> dict[str, list[int]]:
        return {
            key: row[row >= 0].tolist()
            for ids, batch in made.build_iter(epoch, shuffle=False)
            for key, row in zip(ids, batch["text"])
        }

    model = Subwords(folder / "sw" / "de")
    first, second, plain = texts(factory(folder), 1), texts(factory(folder), 2), texts(factory(folder, sample=None), 1)
    assert first != second and first != plain
    assert plain == texts(factory(folder, sample=None), 2)
    assert {k: model.decode(v) for k, v in first.items()} == {k: model.decode(v) for k, v in plain.items()}
    assert texts(factory(folder), 1) == first and texts(factory(folder, seed=6), 1) != first


def test_validation_is_in_one_order(folder: Path) -> None:
    made = factory(folder, sample=None, shuffle=False)
    assert all_same(list(made.build_iter(1)), list(made.build_iter(2)))


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batches_of_one_process(folder: Path, world: int) -> None:
    alone = list(factory(folder).build_iter(1))
    ranks = [list(factory(folder, rank=rank, world=world).build_iter(1)) for rank in range(world)]
    assert [len(batches) for batches in ranks] == [len(alone)] * world
    for number, (ids, batch) in enumerate(alone):
        shares = [ranks[rank][number] for rank in range(world)]
        assert sorted(key for share, _ in shares for key in share) == sorted(ids)
        for share, part in shares:
            for row, key in enumerate(share):
                tokens = part["text"][row, : part["text_lengths"][row]]
                assert torch.equal(tokens, batch["text"][ids.index(key), : len(tokens)])


def test_a_batch_too_small_for_all_ranks_lends_an_example(folder: Path) -> None:
    made = factory(folder, rank=7, world=8, max_examples=3)
    for ids, batch in made.build_iter(1):
        assert ids == [] and len(batch["speech"]) == len(batch["text"]) == 1


def test_equal_texts_are_sampled_independently(folder: Path, tmp_path: Path) -> None:
    line = "kleines Haus Garten Kinder spielen"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "text.de").write_text("".join(f"{key} {line}\n" for key in KEYS[:20]))
    text.main([str(tmp_path / "data"), str(tmp_path / "dump")])
    model = Subwords(folder / "sw" / "de")
    data = SpeechTextData(tmp_path / "dump", None, "de", None, model, names=("text",), sample=0.2)
    assert len({tuple(data.item(i, (1, 1))[1]["text"]) for i in range(20)}) > 3
