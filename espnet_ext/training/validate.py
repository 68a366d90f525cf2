"""What an epoch's model is worth: loss and accuracy on all validation data, greedy WER and BLEU on a sample of it."""

from collections.abc import Sequence
from typing import Any

import torch

from espnet_ext.infra.languages import bleu_tokenizer, error_metric, is_spaced
from espnet_ext.infra.streams import STREAMS
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
    sampled = sample_batches(factory, epoch, batches, options.greedy_utterances) if greedy else set()
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


def sample_batches(factory: Any, epoch: int, batches: int, utterances: int) -> set[int]:
    """Numbers of evenly spread batches, since batches are sorted by length, with about so many utterances."""
    sizes = [len(batch) for batch in factory.batches(epoch)]
    wanted = max(1, round(batches * utterances / max(sum(sizes), 1)))
    return {int((i + 0.5) * batches / wanted) for i in range(min(wanted, batches))}


class GreedyScorer:
    """Decodes batches greedily and scores them against their own references."""

    def __init__(self, model: Any, options: TrainOptions) -> None:
        self.model = model
        self.streams = {}
        folder = options.folder / "subwords"
        for stream in getattr(model, "streams", ()):
            lang = STREAMS[stream].of(options.src_lang, options.tgt_lang)
            joint = "-".join(sorted({str(options.src_lang), str(options.tgt_lang)}))
            place = folder / (joint if options.subwords == "joint" else str(lang))
            if place.exists():
                self.streams[stream] = lang, place
        self.pairs: Pairs = {stream: ([], []) for stream in self.streams}

    def add(self, batch: dict[str, torch.Tensor]) -> None:
        if not self.streams:
            return
        from espnet_ext.data.subwords import Subwords

        fields = {stream: STREAMS[stream].writes for stream in self.streams}
        fields = {stream: field for stream, field in fields.items() if field in batch}
        longest = max(int(batch[f"{field}_lengths"].max()) for field in fields.values())
        # a model that has learned little does not stop by itself: half as long again is long enough to be wrong
        options = self.model.search_options({"beam": 1, "max_length": longest + longest // 2 + 5})
        found = self.model.decode(batch, options)
        for stream, field in fields.items():
            subwords = Subwords(self.streams[stream][1])
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
        for stream, (lang, _) in self.streams.items():
            references = [text for part in pairs for text in part[stream][0]]
            hypotheses = [text for part in pairs for text in part[stream][1]]
            if references:
                name, value = score(stream, str(lang), references, hypotheses)
                scores[f"{name}_{stream}"] = value
        return scores


def score(stream: str, lang: str, references: Sequence[str], hypotheses: Sequence[str]) -> tuple[str, float]:
    """WER (CER where words are not spaced) of transcripts, BLEU of translations."""
    if stream != "asr":
        from sacrebleu.metrics import BLEU

        bleu = BLEU(tokenize=bleu_tokenizer(lang))
        return "bleu", bleu.corpus_score(list(hypotheses), [list(references)]).score
    from rapidfuzz.distance import Levenshtein

    cut = str.split if is_spaced(lang) else list
    errors = sum(Levenshtein.distance(cut(h), cut(r)) for h, r in zip(hypotheses, references, strict=True))
    return error_metric(lang), 100 * errors / max(sum(len(cut(r)) for r in references), 1)
