"""Sub-word models: SentencePiece trained per language or jointly, with start tokens for every task and language."""

import argparse
import hashlib
import io
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from espnet_ext.data.sampling import BpeSampler, UnigramSampler
from espnet_ext.data.vocabulary import Vocabulary
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import atomic_folder, read_table
from espnet_ext.infra.languages import is_spaced
from espnet_ext.infra.stamps import Stamp

BLANK, UNK, EOS = "<blank>", "<unk>", "<sos/eos>"
TASKS = ("asr", "st", "mt")
TYPES = ("unigram", "bpe", "char")
THREADS = 4  # fixed: the sums of a training, and so the model, depend on their number
HUGE = 500_000  # a size that no text can fill; char then takes what there is
SENTENCES = 1_000_000  # more lines than this are thinned evenly


class Subwords:
    """One trained model; ids as in docs/architecture.md."""

    blank, unk = 0, 1

    def __init__(self, folder: str | Path) -> None:
        import sentencepiece

        self.folder = Path(folder).resolve()
        model, tokens = self.folder / "model.spm", self.folder / "tokens.txt"
        if not (model.exists() and tokens.exists()):
            raise FileNotFoundError(f"{folder}: no sub-word model here; python -m espnet_ext.data.subwords makes it")
        self._model = sentencepiece.SentencePieceProcessor(model_file=str(model))
        self.name = self.folder.name
        self.tokens = tokens.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        self.size = len(self.tokens)
        self.eos = self.size - 1
        if self.size != self._model.get_piece_size() + 1 or self.tokens[-1] != EOS:
            raise ValueError(f"{tokens}: does not fit {model.name} ({self.size} tokens); train the model again")
        self._special = {i for i in range(self.eos) if self._model.is_control(i)} | {self.eos}
        self._sampler: UnigramSampler | BpeSampler | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Subwords, (self.folder,)

    @property
    def key(self) -> str:
        """What tells this model from another of the same name."""
        return hashlib.sha256((self.folder / "model.spm").read_bytes()).hexdigest()[:8]

    def start(self, task: str, lang: str) -> int:
        """The start token of a task and its output language."""
        token = f"<{task}_{lang}>"
        for index in sorted(self._special):
            if self.tokens[index] == token:
                return index
        known = " ".join(self.tokens[i] for i in sorted(self._special - {self.blank, self.eos}))
        raise ValueError(f"sub-words {self.name} have no start token {token}; they have {known}")

    def encode(self, text: str) -> list[int]:
        return self._model.encode(_spaced(text))

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        """Many lines at once, by several threads."""
        return self._model.encode([_spaced(text) for text in texts], num_threads=THREADS)

    def sample(self, text: str, seed: int | Sequence[int], alpha: float = 0.2) -> list[int]:
        """One random segmentation (sub-word regularisation); the same for the same seed, always.

        Unigram: drawn from all segmentations, each by probability ** alpha. BPE: a merge is dropped with
        probability alpha.
        """
        if self._sampler is None:
            self._sampler = self._make_sampler()
        return self._sampler.sample("".join(self._model.encode_as_pieces(_spaced(text))), seed, alpha)

    def _make_sampler(self) -> UnigramSampler | BpeSampler:
        model = self._model
        ids = [i for i in range(self.eos) if not (model.is_control(i) or model.is_unknown(i))]
        scores = {self.tokens[i]: (i, model.get_score(i)) for i in ids}
        # SentencePiece scores BPE pieces by their rank, -0, -1, -2, ...; all others by log probability.
        is_bpe = all(score == -rank for rank, (_, score) in enumerate(scores.values()))
        return (BpeSampler if is_bpe else UnigramSampler)(scores, self.unk)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; blank, start, end and padding tokens count for nothing."""
        return self._model.decode([i for i in map(int, ids) if 0 <= i < self.eos and i not in self._special])

    def copy_to(self, folder: str | Path) -> Path:
        """Put a copy below `folder` (an experiment's subwords/); returns where."""
        with atomic_folder(Path(folder) / self.name) as copy:
            for name in ("model.spm", "tokens.txt"):
                shutil.copyfile(self.folder / name, copy / name)
        return Path(folder) / self.name


def _spaced(text: str) -> str:
    """All white space as single spaces; to SentencePiece an ideographic space or a tab is a character like others."""
    return " ".join(text.split())


def train(
    folder: str | Path,
    lines: Iterable[str],
    langs: Sequence[str],
    size: int | None,
    type: str = "unigram",
    character_coverage: float = 1.0,
) -> None:
    """Train one model of `size` tokens on `lines`; without a size, char takes every character."""
    import sentencepiece

    lines = [_spaced(line) for line in lines]
    specials = [f"<{task}_{lang}>" for lang in langs for task in TASKS]
    if size is None and type != "char":
        raise ValueError(f"{type} sub-words need a --vocab_size; only char works without (it takes every character)")
    if size is not None and size <= len(specials) + 3:
        raise ValueError(f"{folder}: --vocab_size {size} is too small: {len(specials) + 3} tokens are special")

    def fit(size: int) -> bytes:
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=type,
            vocab_size=size - 1,  # without <sos/eos>
            character_coverage=character_coverage,
            pad_id=0,
            pad_piece=BLANK,
            unk_id=1,
            unk_piece=UNK,
            bos_id=-1,
            eos_id=-1,
            control_symbols=specials,
            normalization_rule_name="identity",  # references stay what they are
            # without spaces a word-start mark would only cost one token a sentence
            add_dummy_prefix=any(map(is_spaced, langs)),
            max_sentence_length=1 << 20,  # SentencePiece silently leaves out longer lines; its default is 4192 bytes
            num_threads=THREADS,
            minloglevel=2,
        )
        return model.getvalue()

    try:
        model = _fit_to_size(fit, size or HUGE, type)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokens = [processor.id_to_piece(i) for i in range(processor.get_piece_size())] + [EOS]
    if size and len(tokens) < size:  # only char: SentencePiece itself refuses the others
        raise ValueError(f"{folder}: {_too_large(size, len(tokens))}")
    Path(folder, "model.spm").write_bytes(model)
    Path(folder, "tokens.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")


def _fit_to_size(fit: Callable[[int], bytes], size: int, type: str) -> bytes:
    """A model of just this size, or an error that names one that is possible."""
    try:
        return fit(size)
    except RuntimeError as error:
        largest, message = _largest(error), str(error)
    if largest is None:
        raise ValueError(_explain(message, size))
    if type == "unigram":
        # It prunes in steps that depend on the size asked for, and so can miss one (400) but reach it from above (454).
        try:
            fit(HUGE)
        except RuntimeError as error:
            largest = _largest(error) or largest
        if largest >= size:
            return _cut(fit(largest), size)
    raise ValueError(_too_large(size, largest))


def _largest(error: RuntimeError) -> int | None:
    """The size that SentencePiece says it could do instead, in our count, which has <sos/eos> too."""
    found = re.search(r"Vocabulary size too high.*<= (\d+)", str(error))
    return int(found[1]) + 1 if found else None


def _cut(model: bytes, size: int) -> bytes:
    """Leave out the least probable pieces but no single character, which is how SentencePiece comes to its size."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    pieces = list(proto.pieces)
    spare = [i for i, piece in enumerate(pieces) if piece.type == piece.NORMAL and len(piece.piece) > 1]
    excess = len(pieces) + 1 - size
    left_out = set(sorted(spare, key=lambda i: pieces[i].score)[:excess])
    del proto.pieces[:]
    proto.pieces.extend(piece for i, piece in enumerate(pieces) if i not in left_out)
    proto.trainer_spec.vocab_size = len(proto.pieces)
    return proto.SerializeToString(deterministic=True)


def _too_large(size: int, largest: int) -> str:
    remedy = f"the largest possible is {largest} (--vocab_size {largest})"
    return f"a vocabulary of {size} is too large for this text; {remedy}"


def _explain(message: str, size: int) -> str:
    """SentencePiece's other errors in terms of our sizes."""
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        smallest = int(found[1]) + 1
        remedy = f"take --vocab_size {smallest} or more, or less --character_coverage"
        return f"{size} tokens cannot hold every character; {remedy}"
    if "sentences_.empty()" in message:
        return "there is no text to learn sub-words from"
    return f"SentencePiece: {message}"


def thinned(paths: Sequence[Path], limit: int = SENTENCES) -> Iterator[str]:
    """The lines of text tables without ids; evenly spaced ones when there are more than `limit`."""
    total = sum(1 for path in paths for _ in read_table(path))
    share = min(1.0, limit / max(total, 1))
    number = 0
    for path in paths:
        for _, text in read_table(path):
            if int((number + 1) * share) > int(number * share) and text:
                yield text
            number += 1


def make(folder: Path, data: Sequence[Path], langs: Sequence[str], args: argparse.Namespace, name: str = "") -> None:
    """One model over the text of `langs`, unless it is there already; `name` is its own, if it has one."""
    langs = sorted(langs)
    joint = len(langs) > 1 or bool(name)
    size = args.joint_vocab_size or args.vocab_size if joint else args.vocab_size
    kind = args.joint_type or args.type if joint else args.type
    paths = [path for lang in langs for d in data if (path := d / f"text.{lang}").exists()]
    missing = [lang for lang in langs if not any((d / f"text.{lang}").exists() for d in data)]
    if missing:
        raise FileNotFoundError(f"no text.{missing[0]} in {', '.join(map(str, data))}; is --langs right?")
    output = folder / (name or "-".join(langs))
    settings = {"type": kind, "size": size, "coverage": args.character_coverage, "langs": langs}
    stamp = Stamp(output, paths, **settings)
    if stamp.is_current():
        return
    with stamp.making(), atomic_folder(output) as temporary:
        try:
            train(temporary, thinned(paths), langs, size, kind, args.character_coverage)
        except ValueError as error:
            message = str(error).replace(str(temporary), str(output))
            if joint:
                message = message.replace("--vocab_size", "--joint_vocab_size")
            raise ValueError(message) from None
    lines = sum(1 for path in paths for _ in read_table(path))
    print(f"{output}: {Subwords(output).size} {kind} tokens, from {lines:,} lines", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.subwords", description=__doc__)
    parser.add_argument("folder", type=Path, help="each model goes to FOLDER/<languages joined by ->")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="data directories with text.<lang>")
    parser.add_argument(
        "--extra_data", type=Path, nargs="*", default=[], help="more data directories, such as text only"
    )
    parser.add_argument("--langs", nargs="+", required=True, help="languages; each gets its own model")
    parser.add_argument("--joint", action="store_true", help="also make one model for all languages")
    parser.add_argument(
        "--universal", nargs="*", default=[], metavar="LANGS:SETS", help="vocabularies of tasks: de,en:train,mt_train"
    )
    parser.add_argument("--vocab_size", type=int, help="tokens, special ones included; char needs none")
    parser.add_argument("--joint_vocab_size", type=int, help="tokens of the joint model, if not VOCAB_SIZE")
    parser.add_argument("--type", choices=TYPES, default="unigram")
    parser.add_argument("--joint_type", choices=TYPES, help="type of the joint model, if not TYPE")
    parser.add_argument("--character_coverage", type=float, default=1.0, help="share of characters with a token")
    args = parser.parse_args(arguments)
    universal = [words.partition(":") for words in args.universal]
    groups = [[lang] for lang in dict.fromkeys(args.langs)]
    if args.joint and len(groups) > 1:
        groups.append(list(dict.fromkeys(args.langs)))
    with one_line_errors("subwords", ValueError):
        for langs in groups:
            make(args.folder, [*args.data, *args.extra_data], langs, args)
        for some, _, sets in universal:
            found = Vocabulary(tuple(some.split(",")), tuple(sets.split(",")))
            make(args.folder, [args.data[0].parent / name for name in found.sets], found.langs, args, found.name)


if __name__ == "__main__":
    main()
