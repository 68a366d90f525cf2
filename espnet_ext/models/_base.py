"""What the systems share: encoding speech, the losses of one output stream, statistics.

B batch, T frames, L tokens, D width, V vocabulary.
"""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from espnet2.asr.ctc import CTC
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import nn

from espnet_ext.data.tasks import Task
from espnet_ext.espnet.parts import Parts
from espnet_ext.infra.streams import STREAMS, Stream
from espnet_ext.nn.decoder_cache import CachedDecoder
from espnet_ext.nn.loss import IGNORE, accuracy, smoothed_cross_entropy
from espnet_ext.search.beam import search
from espnet_ext.search.ctc import CTCPrefix
from espnet_ext.search.options import Hypothesis, SearchOptions, stream_options

SLICE = 1200  # frames that a CPU encodes at a time when it decodes
Batch = dict[str, torch.Tensor]
Stats = dict[str, torch.Tensor]
Memory = tuple[torch.Tensor, torch.Tensor]  # an encoder's states (B, T, D) and their lengths


def with_start(tokens_BL: torch.Tensor, start: int, end: int) -> torch.Tensor:
    """What a decoder reads: the start token, then the target with its padding overwritten."""
    return nn.functional.pad(tokens_BL.masked_fill(tokens_BL == IGNORE, end), (1, 0), value=start)


def with_end(tokens_BL: torch.Tensor, lengths_B: torch.Tensor, end: int) -> torch.Tensor:
    """What a decoder must write: the target, then the end token, then padding."""
    padded = nn.functional.pad(tokens_BL, (0, 1), value=IGNORE)
    return padded.scatter(1, lengths_B[:, None], end)


class BaseModel(AbsESPnetModel):
    """A system: it says what it reads, and computes `loss`."""

    data_names: tuple[str, ...]  # of a training batch
    streams: tuple[str, ...] = ()  # that it writes, of infra.streams.STREAMS; or its tasks, see `take_tasks`
    tasks: dict[str, Task] = {}  # of a system that learns what its configuration says
    knows_tasks = False  # whether its configuration says `tasks:`
    inputs: tuple[str, ...] = ()  # that its streams are made from; of several, decoding takes those that are there
    search_defaults: dict[str, dict[str, Any]] = {}  # search options of a stream that are not SearchOptions' own
    sections: dict[str, type] = {}  # options of model_conf that are sections themselves, and whose options they hold
    peers: tuple[str, ...] = ()  # children that are systems themselves
    phases: tuple[str, ...] = ()  # peers that learn in turn, each with an optimizer; forward is told which as `phase`
    iteration = 0  # the optimizer step being made, counted from 1; the training loop sets it
    composed_of: tuple[str, ...] = ()  # the systems whose experiments make up this one

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.inputs = tuple(dict.fromkeys(STREAMS[stream].reads for stream in cls.streams))

    def __init__(
        self,
        lsm_weight: float = 0.1,
        length_normalized_loss: bool = False,
        share_decoder_input_output_embed: bool = False,
    ) -> None:
        super().__init__()
        self.share_output = share_decoder_input_output_embed
        self.lsm_weight = lsm_weight
        self.length_normalized_loss = length_normalized_loss

    def take_tasks(self, tasks: dict[str, Task]) -> None:
        """Write one stream for each task, named as it is."""
        self.tasks, self.streams = tasks, tuple(tasks)
        self.inputs = tuple(dict.fromkeys(self.stream(name).reads for name in tasks))

    def stream(self, name: str) -> Stream:
        """What a stream is made from, and what it should equal."""
        return self.tasks[name].stream if self.tasks else STREAMS[name]

    @classmethod
    def as_espnet(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """ESPnet's task that builds the same model, and what its configuration must say that ours does not."""
        raise ValueError(f"{config['model']}: ESPnet has no such model; asr, mt, e2e and multitask can be exported")

    @classmethod
    def decoding_options(cls, conf: Mapping[str, Any]) -> set[str]:
        """Those of `model_conf` that training does not depend on."""
        return set()

    @classmethod
    def learns(cls, conf: Mapping[str, Any]) -> bool:
        """Whether a system with this model_conf is trained."""
        return not cls.composed_of

    @classmethod
    def more_options(cls, conf: Mapping[str, Any]) -> set[str]:
        """Names in a model_conf that the constructor hands on to what this very conf chooses."""
        return set()

    def forward(self, **batch: torch.Tensor) -> tuple[torch.Tensor, Stats, torch.Tensor]:
        loss, stats = self.loss(batch)
        size = batch["text" if self.tasks else self.data_names[0]].size(0)
        stats = {"loss": loss.detach(), **stats}
        if self.tasks:  # all of a batch are of one task
            task = self.streams[int(batch["task"][0])]
            stats |= {f"{name}_{task}": stats[name] for name in ("loss", "acc") if name in stats}
        return force_gatherable((loss, stats, size), loss.device)

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """The training loss of a batch and what to report beside it."""
        raise TypeError(f"{type(self).__module__}: a model must define loss(batch)")

    def streams_from(self, names: Collection[str]) -> tuple[str, ...]:
        """The streams that can be written from these inputs."""
        return tuple(stream for stream in self.streams if self.stream(stream).reads in names)

    @property
    def reads_waveforms(self) -> bool:
        """Whether it takes samples instead of features: by a frontend of ESPnet's, or a pretrained encoder."""
        encoder = getattr(self, "encoder", None)
        own = getattr(self, "frontend", None) is not None or getattr(encoder, "reads_waveforms", False)
        return "speech" in self.inputs and own

    def writers(self) -> dict[str, nn.Module]:
        """The decoder of each stream that one writes."""
        decoder = getattr(self, "decoder", None)
        return {} if decoder is None else {self.streams[0]: decoder}

    def search_options(self, conf: dict[str, Any] | None) -> dict[str, SearchOptions]:
        """What a configuration's `decode:` section says, for each stream."""
        defaults = {name: self.search_defaults.get(self.stream(name).kind, {}) for name in self.streams}
        return stream_options(conf or {}, self.streams, defaults)

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        """The n best hypotheses of each utterance for every stream that the system writes."""
        raise TypeError(f"{type(self).__module__}: a model must define decode(batch, options)")

    def search(
        self,
        decoder: nn.Module,
        memory: tuple[torch.Tensor, torch.Tensor],
        start_tokens: list[int],
        end: int,
        options: SearchOptions,
        ctc: CTC | None = None,
    ) -> list[list[Hypothesis]]:
        """Beam search of one decoder over the encoder's states, with its CTC branch if the options say so."""
        memory_BTD, lengths_B = memory
        prefix = self.ctc_prefix(ctc, memory, options)
        return search(CachedDecoder(decoder, memory_BTD, lengths_B), lengths_B, start_tokens, end, options, prefix)

    def ctc_prefix(self, ctc: CTC | None, memory: Memory, options: SearchOptions) -> CTCPrefix | None:
        """Prefix scores of a CTC branch, if the options say so."""
        if options.ctc_weight == 0:
            return None
        if ctc is None:
            raise ValueError(f"decode option ctc_weight: {options.ctc_weight}, but this stream has no CTC; set 0")
        return CTCPrefix(ctc.ctc_lo(memory[0]).float().log_softmax(-1), memory[1])

    def collect_feats(self, **batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {}

    def share_embeddings(self, decoder: nn.Module, source: nn.Embedding | None = None) -> None:
        """Let the output layer, and the source's embedding if given, be the decoder's input embedding."""
        embedding = decoder.embed[0]
        if self.share_output:
            decoder.output_layer.weight = embedding.weight
        if source is not None:
            if source.weight.shape != embedding.weight.shape:
                raise ValueError(
                    f"share_encoder_decoder_input_embed: source and target have {source.num_embeddings} and "
                    f"{embedding.num_embeddings} tokens; use subwords: joint"
                )
            source.weight = embedding.weight

    def attention_loss(
        self,
        decoder: nn.Module,
        memory: tuple[torch.Tensor, torch.Tensor],
        tokens_BL: torch.Tensor,
        lengths_B: torch.Tensor,
        start: int,
        end: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The decoder's smoothed cross entropy over a target, and its accuracy."""
        logits_BLV = decoder(*memory, with_start(tokens_BL, start, end), lengths_B + 1)
        return self.token_loss(logits_BLV, with_end(tokens_BL, lengths_B, end))

    def token_loss(self, logits_BLV: torch.Tensor, targets_BL: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss = smoothed_cross_entropy(logits_BLV, targets_BL, self.lsm_weight, self.length_normalized_loss)
        return loss, accuracy(logits_BLV, targets_BL)


class SpeechModel(BaseModel):
    """A system that reads speech features (or a waveform, with one of ESPnet's frontends)."""

    def __init__(self, parts: Parts, **conf: Any) -> None:
        super().__init__(**conf)
        self.frontend = parts.frontend()
        self.specaug = parts.specaug()
        self.normalize = parts.normalize(self.frontend)
        self.encoder = parts.encoder(self.frontend)

    def features(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder reads, normalised and in training masked, (B, T, F)."""
        with torch.autocast(speech.device.type, enabled=False):
            x, lengths_B = speech, speech_lengths
            if self.frontend is not None:
                x, lengths_B = self.frontend(x, lengths_B)
            if self.normalize is not None or self.specaug is not None:
                x = x.clone()  # ESPnet's GlobalMVN and masks work in place, and the batch may be read again
            if self.normalize is not None:
                x, lengths_B = self.normalize(x, lengths_B)
            if self.specaug is not None and self.training:
                # After normalisation, unlike ESPnet: a masked patch then has the mean's value, not silence's.
                x, lengths_B = self.specaug(x, lengths_B)
        return x, lengths_B

    def encode(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder states (B, T, D) and their lengths."""
        memory_BTD, lengths_B, _ = self.encoder(*self.features(speech, speech_lengths))
        return memory_BTD, lengths_B

    def encode_slices(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `encode`, a few utterances at a time on a CPU, whose cache then holds what passes between the layers."""
        size = len(speech) if speech.device.type != "cpu" else max(1, SLICE // speech.size(1))
        slices = zip(speech.split(size), speech_lengths.split(size))
        memories, lengths = zip(*(self.encode(x_BTF, lengths_B) for x_BTF, lengths_B in slices))
        longest = max(x_BTD.size(1) for x_BTD in memories)
        padded = [nn.functional.pad(x_BTD, (0, 0, 0, longest - x_BTD.size(1))) for x_BTD in memories]
        return torch.cat(padded), torch.cat(lengths)

    def ctc_loss(
        self, ctc: CTC, memory: tuple[torch.Tensor, torch.Tensor], tokens_BL: torch.Tensor, lengths_B: torch.Tensor
    ) -> torch.Tensor:
        return ctc(*memory, tokens_BL, lengths_B)


def mix(weight: float, first: torch.Tensor | None, second: torch.Tensor | None) -> torch.Tensor:
    """weight * first + (1 - weight) * second, where a loss of weight 0 need not exist."""
    if first is None or weight == 0.0:
        return second
    if second is None or weight == 1.0:
        return first
    return weight * first + (1 - weight) * second
