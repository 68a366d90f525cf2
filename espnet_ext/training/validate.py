"""What an epoch's model is worth: loss and accuracy on all validation data, greedy WER and BLEU on a sample of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from espnet_ext.data.own_subwords import own_subwords
from espnet_ext.infra.languages import bleu_tokenizer, error_metric, is_spaced
from espnet_ext.training.errors import Interrupted, is_out_of_memory, out_of_memory
from espnet_ext.training.meter import Meter
from espnet_ext.training.options import TrainOptions
from espnet_ext.training.prefetch import prefetch, to_device
from espnet_ext.training.progress import Progress
from espnet_ext.training.signals import StopRequest
from espnet_ext.training.step import autocast

Pairs = dict[str, tuple[list[str], list[str]]]  # stream: references, hypotheses


def validate(
    model: torch.nn.Module, factory: Any, epoch: int, options: TrainOptions, greedy: bool, stop: StopRequest
) -> dict[str, float]:
    """The means of the model's statistics and, with `greedy`, scores such as wer_asr and bleu_st."""
    device = next(model.parameters()).device
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    batches = factory.num_batches(epoch)
    sampled = sample_batches(factory, epoch, options.greedy_utterances) if greedy else set()
    scorer = GreedyScorer(model, options)
    meter = Meter()
    model.eval()
    with torch.no_grad(), autocast(device, options.amp):
        items = prefetch(factory.build_iter(epoch), lambda item: to_device(item, device))
        progress = Progress(f"validation after epoch {epoch}", 0, batches, 0, device)
        for number, (utt_ids, batch) in enumerate(items):
            if stop.is_made and not distributed:  # ranks must leave together, so they stop at the next step
                raise Interrupted
            try:
                _, stats, weight = model(**batch)
                if number in sampled and utt_ids:
                    scorer.add(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise out_of_memory(f"validation after epoch {epoch}", utt_ids, batch, options.batch_bins) from error
            progress.utterances += len(utt_ids)
            if progress.is_due() and not (distributed and torch.distributed.get_rank()):
                progress.show(number + 1, {})
            meter.add(stats, weight * bool(utt_ids))  # without ids: a borrowed example, see IterFactory
    return {**meter.means(), **scorer.scores()}


def sample_batches(factory: Any, epoch: int, utterances: int) -> set[int]:
    """Numbers of evenly spread batches, since batches are sorted by length, with about so many utterances.

    Where there are tasks, each has its share of the utterances, and one batch at least.
    """
    sizes_N = np.array([len(batch) for batch in factory.batches(epoch)])
    task_N = factory.task_of(epoch) if hasattr(factory, "task_of") else np.zeros(len(sizes_N), int)
    found: set[int] = set()
    for task in np.unique(task_N):
        numbers = np.flatnonzero(task_N == task)
        batches, total = len(numbers), max(int(sizes_N[numbers].sum()), 1)
        wanted = max(1, round(batches * utterances / len(np.unique(task_N)) / total))
        found |= {int(numbers[int((i + 0.5) * batches / wanted)]) for i in range(min(wanted, batches))}
    return found


class GreedyScorer:
    """Decodes batches greedily and scores them against their own references."""

    def __init__(self, model: Any, options: TrainOptions) -> None:
        self.model = model
        self.streams = {}
        vocabularies = own_subwords(options.folder, vars(options))
        for name in getattr(model, "streams", ()):
            stream = model.stream(name)
            if subwords := stream.of(*vocabularies):
                self.streams[name] = stream, stream.language(options.src_lang, options.tgt_lang), subwords
        self.pairs: Pairs = {stream: ([], []) for stream in self.streams}

    def add(self, batch: dict[str, torch.Tensor]) -> None:
        if not self.streams:
            return
        streams = [self.model.streams[int(batch["task"][0])]] if "task" in batch else list(self.streams)
        fields = {name: self.streams[name][0].writes for name in streams}
        fields = {stream: field for stream, field in fields.items() if field in batch}
        longest = max(int(batch[f"{field}_lengths"].max()) for field in fields.values())
        # a model that has learned little does not stop by itself: half as long again is long enough to be wrong
        options = self.model.search_options({"beam": 1, "max_length": longest + longest // 2 + 5})
        options = {name: options[name] for name in streams} if "task" in batch else options
        found = self.model.decode(batch, options)
        for stream, field in fields.items():
            subwords = self.streams[stream][2]
            references, hypotheses = self.pairs[stream]
            references += [subwords.decode(row) for row in batch[field].tolist()]
            hypotheses += [subwords.decode(nbest[0].tokens) for nbest in found[stream]]

    def scores(self) -> dict[str, float]:
        """One figure per stream, over all processes."""
        pairs = [self.pairs]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            pairs = [{} for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather_object(pairs, self.pairs)
        scores = {}
        for name, (stream, lang, _) in self.streams.items():
            references = [text for part in pairs for text in part[name][0]]
            hypotheses = [text for part in pairs for text in part[name][1]]
            if references:
                metric, value = score(stream.kind, str(lang), references, hypotheses)
                scores[f"{metric}_{name}"] = value
        return scores


def score(kind: str, lang: str, references: Sequence[str], hypotheses: Sequence[str]) -> tuple[str, float]:
    """WER (CER where words are not spaced) of transcripts, BLEU of translations."""
    if kind != "asr":
        from sacrebleu.metrics import BLEU

        bleu = BLEU(tokenize=bleu_tokenizer(lang))
        return "bleu", bleu.corpus_score(list(hypotheses), [list(references)]).score
    from rapidfuzz.distance import Levenshtein

    cut = str.split if is_spaced(lang) else list
    errors = sum(Levenshtein.distance(cut(h), cut(r)) for h, r in zip(hypotheses, references, strict=True))
    return error_metric(lang), 100 * errors / max(sum(len(cut(r)) for r in references), 1)
