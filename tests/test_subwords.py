"""Sub-words: ids and special tokens, exact round trips, sampling by seed, and what a training refuses."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from espnet_ext.data import subwords
from espnet_ext.data.sampling import UnigramSampler
from espnet_ext.data.subwords import TYPES, Subwords

TEXT = {
    "en": [
        "the small house is in the garden",
        "a child sees the house and the tree",
        "children play in the small garden",
        "the teacher sees the children playing",
        "she teaches the child to read a book",
        "he reads the old book to the child",
        "they see an old tree in the garden",
        "the old house has a red door",
        "I would walk through the quiet forest",
        "we talk about walking and reading",
    ],
    "de": [
        "das kleine Haus ist im Garten",
        "ein Kind sieht das Haus und den Baum",
        "Kinder spielen im kleinen Garten",
        "der Lehrer sieht die Kinder spielen",
        "sie lehrt das Kind ein Buch zu lesen",
        "er liest dem Kind das alte Buch vor",
        "sie sehen einen alten Baum im Garten",
        "das alte Haus hat eine rote Tür",
        "ich würde durch den stillen Wald gehen",
        "wir reden über das Gehen, „Größe“ und Öl",
    ],
    "zh": ["我看见一座小房子。", "孩子们在花园里玩。", "房子很小,Tom 说。"],
    "ja": ["子供たちは庭で遊んでいます。", "小さな家が見えます。", "東京タワー ﾊﾝｶｸ ㌔"],
}


def write_data(folder: Path, **texts: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for lang, lines in texts.items():
        table = "".join(f"u{i:03d} {line}\n" for i, line in enumerate(lines))
        (folder / f"text.{lang}").write_text(table, encoding="utf-8")
    return folder


def make(folder: Path, *options: str | Path, **texts: list[str]) -> Path:
    data = write_data(folder / "data", **texts)
    subwords.main([str(folder / "sw"), "--data", str(data), "--langs", *texts, *map(str, options)])
    return folder / "sw"


def trained(folder: Path, lines: list[str], size: int | None, kind: str) -> Subwords:
    folder.mkdir(parents=True)
    subwords.train(folder, lines, folder.name.split("-"), size, kind)
    return Subwords(folder)


@pytest.fixture(scope="module", params=TYPES)
def joint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subwords:
    size = {"unigram": 75, "bpe": 90, "char": 43}[request.param]
    return trained(tmp_path_factory.mktemp(request.param) / "de-en", TEXT["de"] + TEXT["en"], size, request.param)


def test_token_list(joint: Subwords) -> None:
    starts = [f"<{task}_{lang}>" for lang in ("de", "en") for task in ("asr", "st", "mt")]
    assert joint.tokens[:8] == ["<blank>", "<unk>", *starts]
    assert joint.tokens[-1] == "<sos/eos>"
    assert (joint.name, joint.blank, joint.unk, joint.eos) == ("de-en", 0, 1, joint.size - 1)
    assert [joint.start(task, lang) for lang in ("de", "en") for task in ("asr", "st", "mt")] == list(range(2, 8))
    assert len(set(joint.tokens)) == len(joint.tokens) == joint.size


def test_size_counts_every_token(tmp_path: Path) -> None:
    folder = make(tmp_path, "--type", "bpe", "--vocab_size", "60", "--joint", en=TEXT["en"], de=TEXT["de"])
    assert [Subwords(folder / name).size for name in ("de", "en", "de-en")] == [60, 60, 60]


def test_the_joint_model_may_be_of_another_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, "--vocab_size", "60", "--joint", "--joint_type", "bpe", en=TEXT["en"], de=TEXT["de"])
    said = capsys.readouterr().err
    assert said.count(" unigram tokens") == 2 and "de-en: 60 bpe tokens" in said


def test_the_joint_model_may_be_larger(tmp_path: Path) -> None:
    sizes = "--vocab_size", "60", "--joint", "--joint_vocab_size", "80"
    folder = make(tmp_path, "--type", "bpe", *sizes, en=TEXT["en"], de=TEXT["de"])
    assert [Subwords(folder / name).size for name in ("de", "en", "de-en")] == [60, 60, 80]


def test_ids_are_those_of_sentencepiece(joint: Subwords) -> None:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(joint.folder / "model.spm"))
    assert joint.tokens[:-1] == [model.id_to_piece(i) for i in range(model.get_piece_size())]
    assert joint.encode("the small house") == model.encode("the small house")


def test_round_trip_ignores_special_tokens(joint: Subwords) -> None:
    for line in TEXT["en"][:4]:
        ids = joint.encode(line)
        assert joint.decode([joint.start("asr", "en"), *ids, joint.eos, 0, -1, -1]) == line
    assert joint.encode_all(TEXT["en"]) == [joint.encode(line) for line in TEXT["en"]]
    assert joint.decode(np.asarray(joint.encode("a child"))) == "a child"


def test_text_cannot_make_special_tokens(joint: Subwords) -> None:
    literal = "the <asr_en> house<st_de><blank> <unk> <sos/eos>"
    for ids in (joint.encode(literal), joint.sample(literal, 1)):
        assert not set(ids) & {joint.blank, joint.eos, *range(2, 8)}


def test_training_text_with_special_tokens_in_it(tmp_path: Path) -> None:
    lines = ["x<asr_en>y and <blank>", "x<asr_en>y or <sos/eos>"] * 20
    model = trained(tmp_path / "en", lines, 34, "bpe")
    assert not set(model.encode(lines[0])) & {model.blank, *range(2, 5)}
    assert model.decode(model.encode("or x and y")) == "or x and y"


def test_unknown_start_token(joint: Subwords) -> None:
    with pytest.raises(ValueError, match=re.escape("de-en have no start token <asr_fr>; they have <asr_de> <st_de>")):
        joint.start("asr", "fr")


@pytest.mark.parametrize("lang", ["zh", "ja"])
def test_characters_without_spaces(tmp_path: Path, lang: str) -> None:
    model = Subwords(make(tmp_path, "--type", "char", **{lang: TEXT[lang]}) / lang)
    for line in TEXT[lang]:
        ids = model.encode(line)
        assert model.decode(ids) == line
        assert len(ids) == len(line)  # not even a mark before the first
    assert model.size == len({c for line in TEXT[lang] for c in line}) + 6


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_languages_with_and_without_spaces(tmp_path: Path, kind: str) -> None:
    model = trained(tmp_path / "en-zh", TEXT["en"] + TEXT["zh"], 85, kind)
    assert [model.decode(model.encode(line)) for line in TEXT["en"] + TEXT["zh"]] == TEXT["en"] + TEXT["zh"]


def test_white_space_is_a_space(tmp_path: Path) -> None:
    model = Subwords(make(tmp_path, "--type", "char", ja=["東京　タワー", "東京 タワー"]) / "ja")
    assert model.unk not in model.encode("東\t京\u00a0タワー")
    assert model.decode(model.encode(" 東京　 タワー ")) == "東京 タワー"


def test_unigram_sampling(tmp_path: Path) -> None:
    model = trained(tmp_path / "de", ["Kinder spielen", "Kind spielt", "Kinderspiel"] * 9, 21, "unigram")
    text = "Kinder spielen Kinderspiel"
    assert model.sample(text, 0, alpha=1000.0) == model.encode(text)  # the best one alone
    drawn = {tuple(model.sample(text, seed, alpha=0.3)) for seed in range(30)}
    assert len(drawn) > 5 and {model.decode(ids) for ids in drawn} == {text}


def test_bpe_sampling(tmp_path: Path) -> None:
    lines = ["Kinder spielen", "Kind spielt", "Kinderspiel"] * 9
    model = trained(tmp_path / "de", lines, 30, "bpe")
    assert model.sample("Kinder spielen", 0, alpha=0.0) == model.encode("Kinder spielen")
    assert [model.tokens[i] for i in model.sample("Kind spielt", 0, alpha=1.0)] == list("▁Kind▁spielt")
    drawn = {tuple(model.sample("Kinder spielen", seed, alpha=0.3)) for seed in range(30)}
    assert len(drawn) > 5 and {model.decode(ids) for ids in drawn} == {"Kinder spielen"}


def test_sampling_at_its_limit_is_encoding(joint: Subwords) -> None:
    alpha = 0.0 if "bpe" in str(joint.folder) else 1000.0  # BPE drops no merge; of the others only the best is left
    for line in [*TEXT["en"], *TEXT["de"], "unseen ЖЖ words, spaces  and\ttabs", ""]:
        assert joint.sample(line, 0, alpha) == joint.encode(line)


def test_sampling_depends_on_its_seed_alone(joint: Subwords) -> None:
    first = [joint.sample(line, [3, i]) for i, line in enumerate(TEXT["en"])]
    joint.sample("something else", 9)
    again = pickle.loads(pickle.dumps(joint))
    assert [again.sample(line, [3, i]) for i, line in enumerate(TEXT["en"])] == first


def test_unknown_characters_are_one_token_in_samples_too(joint: Subwords) -> None:
    assert joint.sample("the ЖЖЖ house", 0).count(joint.unk) == joint.encode("the ЖЖЖ house").count(joint.unk) == 1


def test_samples_have_the_probabilities_of_the_model() -> None:
    log = {"a": -1.0, "b": -1.5, "ab": -2.0}
    sampler = UnigramSampler({piece: (i, score) for i, (piece, score) in enumerate(log.items())}, unk=9)
    alpha, trials = 0.5, 4000
    share = sum(sampler.sample("ab", seed, alpha) == [2] for seed in range(trials)) / trials
    whole, parts = np.exp(alpha * -2.0), np.exp(alpha * -2.5)
    assert share == pytest.approx(whole / (whole + parts), abs=0.03)


@pytest.mark.parametrize("kind", TYPES)
def test_too_large_a_vocabulary_names_one_that_works(tmp_path: Path, kind: str) -> None:
    with pytest.raises(
        SystemExit, match=r"sw/de: a vocabulary of 9000 is too large for this text.*\(--vocab_size \d+\)"
    ) as error:
        make(tmp_path, "--type", kind, "--vocab_size", 9000, de=TEXT["de"])
    assert not (tmp_path / "sw" / "de").exists()
    largest = int(re.findall(r"--vocab_size (\d+)", str(error.value))[0])
    assert Subwords(make(tmp_path, "--type", kind, "--vocab_size", largest, de=TEXT["de"]) / "de").size == largest
    with pytest.raises(SystemExit, match="too large"):
        make(tmp_path, "--type", kind, "--vocab_size", largest + 1, de=TEXT["de"])


def test_a_size_that_pruning_jumps_over_is_cut_from_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the mini corpus's English: 318 and 454 can be trained, 400 cannot."""
    from sentencepiece import SentencePieceTrainer

    train = SentencePieceTrainer.train

    def jump(vocab_size: int, **options: object) -> None:
        if vocab_size == 49:
            raise RuntimeError("Vocabulary size too high (49). Please set it to a value <= 44.")
        train(vocab_size=vocab_size, **options)

    monkeypatch.setattr(SentencePieceTrainer, "train", jump)
    model = trained(tmp_path / "de", TEXT["de"] * 3, 50, "unigram")
    assert model.size == len(set(model.tokens)) == 50
    assert [model.decode(model.encode(line)) for line in TEXT["de"]] == TEXT["de"]
    assert any(len(token) > 3 for token in model.tokens[5:-1])  # it is the least probable that went
    assert model.start("mt", "de") == 4 and model.unk not in model.sample(TEXT["de"][0], 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vocab_size", "15"], r"15 tokens cannot hold every character; take --vocab_size (\d+) or more"),
        (["--vocab_size", "5"], "--vocab_size 5 is too small: 6 tokens are special"),
        ([], "unigram sub-words need a --vocab_size"),
        (["--vocab_size", "30", "--langs", "fr"], r"no text.fr in .*data; is --langs right\?"),
    ],
)
def test_refusals(tmp_path: Path, options: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message) as error:
        make(tmp_path, *options, de=TEXT["de"])
    if smallest := re.search(r"take --vocab_size (\d+)", str(error.value)):
        assert Subwords(make(tmp_path, "--vocab_size", smallest[1], de=TEXT["de"]) / "de").size == int(smallest[1])


def test_no_text_at_all(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="sw/de: there is no text to learn sub-words from"):
        make(tmp_path, "--type", "char", de=[])


def test_training_again_gives_the_same_and_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(tmp_path, "--vocab_size", 50, de=TEXT["de"] * 20) / "de" / "model.spm"
    content = model.read_bytes()
    make(tmp_path, "--vocab_size", 50, de=TEXT["de"] * 20)
    assert "inputs have not changed, skipped" in capsys.readouterr().err
    other = make(tmp_path / "other", "--vocab_size", 50, de=TEXT["de"] * 20) / "de" / "model.spm"
    assert other.read_bytes() == content
    make(tmp_path, "--vocab_size", 51, de=TEXT["de"] * 20)
    assert len(Subwords(model.parent).tokens) == 51


def test_extra_data_and_long_lines_count(tmp_path: Path) -> None:
    extra = write_data(tmp_path / "extra", de=["x" * 9000 + "Ж"])  # SentencePiece's own limit is 4192 bytes
    model = Subwords(make(tmp_path, "--type", "char", "--extra_data", extra, de=TEXT["de"]) / "de")
    assert "Ж" in model.tokens


def test_thinning_is_even(tmp_path: Path) -> None:
    data = write_data(tmp_path, en=[str(i) for i in range(100)])
    assert [int(line) for line in subwords.thinned([data / "text.en"], 10)] == list(range(9, 100, 10))
    assert len(list(subwords.thinned([data / "text.en"], 1000))) == 100


def test_copy(joint: Subwords, tmp_path: Path) -> None:
    copy = Subwords(joint.copy_to(tmp_path / "exp" / "subwords"))
    assert (copy.name, copy.tokens, copy.key) == (joint.name, joint.tokens, joint.key)


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no sub-word model here"):
        Subwords(tmp_path)
