"""One encoder, decoder and output layer for speech and text tasks, told apart by a task embedding (docs/task_aware.md).

Indurthi et al., Task Aware Multi-Task Learning for Speech to Text Tasks, ICASSP 2021.

B batch, L tokens, D width, S tasks, E = 2 D.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from espnet_ext.espnet.parts import Parts
from espnet_ext.models import mt
from espnet_ext.models._base import Batch, SpeechModel, Stats, with_start
from espnet_ext.search.options import Hypothesis, SearchOptions
from espnet_ext.task_aware.film import FiLM, Prefix
from espnet_ext.task_aware.maml import maml_loss
from espnet_ext.task_aware.names import task_prefix
from espnet_ext.task_aware.tcn import ExplicitTCN, ImplicitTCN, derangement

CHOICES: dict[str, tuple[Any, ...]] = {"tcn": ("none", "explicit", "implicit"), "condition": ("film", "input", "text")}
CHOICES |= {"strategy": ("joint", "maml"), "order": (1, 2)}
FORGETS = 0.05  # share of each batch in the running mean of a task's embeddings, which validation takes
EXAMPLES = 100  # of each task, of which its embedding of inference is made
Source = tuple[Any, torch.Tensor]  # what the encoder's blocks read (with relative positions: a pair), and lengths


class Model(SpeechModel):
    data_names = ("speech", "src_text", "text")
    knows_tasks = True
    sections = {"tcn_conf": ImplicitTCN}
    search_defaults = mt.Model.search_defaults

    def __init__(
        self,
        parts: Parts,
        tcn: str = "none",
        condition: str = "film",
        strategy: str = "joint",
        order: int = 1,
        inner_lr: float = 1e-3,
        tcn_conf: dict[str, Any] | None = None,
        task_tokens: bool = False,
        share_encoder_decoder_input_embed: bool = False,
        **conf: Any,
    ) -> None:
        """With `task_tokens` each task's target begins with a token of its own; the paper's all begin alike."""
        for name, value in {"tcn": tcn, "condition": condition, "strategy": strategy, "order": order}.items():
            if value not in CHOICES[name]:
                raise ValueError(f"{name}: {value!r}; choose from {', '.join(map(str, CHOICES[name]))}")
        tasks = parts.tasks.values()
        reads = {task.reads for task in tasks}
        super().__init__(parts if "speech" in reads else parts.of_text(), **conf)
        self.take_tasks(parts.tasks)
        self.strategy, self.order, self.inner_lr = strategy, order, inner_lr
        self.sos = self.eos = parts.tgt_size - 1
        self.starts = {t.name: parts.start_token(t.kind, t.tgt) if task_tokens else self.sos for t in tasks}
        self.decoder = parts.decoder(parts.tgt_size)
        self.src_embed = self.make_src_embed(parts, mixed=len(reads) == 2) if "text" in reads else None
        source = self.src_embed[0] if self.src_embed is not None and share_encoder_decoder_input_embed else None
        self.share_embeddings(self.decoder, source)
        self.before_source = {t.name: task_prefix(t, parts) if condition == "text" else [] for t in tasks}
        self.make_tcn(tcn, condition, tcn_conf or {})

    def make_src_embed(self, parts: Parts, mixed: bool) -> nn.Module:
        """Embeddings and positions of source tokens: beside the convolutions of speech, or the encoder's own."""
        if not mixed:
            return self.encoder.embed
        position = getattr(self.encoder.embed, "position", None)
        if position is None:
            raise ValueError(
                f"encoder_conf.input_layer: {parts.args.encoder_conf.get('input_layer')}: beside text tasks speech "
                "goes through conv2d_k3s2, conv1d or conv1d8"
            )
        return nn.Sequential(parts.embedding(parts.tgt_size), position)

    def make_tcn(self, tcn: str, condition: str, conf: dict[str, Any]) -> None:
        """The network that makes t_e, and what puts t_e into the model."""
        if condition == "text" and tcn != "none":
            raise ValueError(f"condition: text says the task in words; with it tcn must be none, not {tcn}")
        width = self.decoder.embed[0].embedding_dim
        decoder = self.decoder
        blocks = [*self.encoder.encoders, decoder.entry, *(layer.out for layer in decoder.decoders)]
        self.enters: FiLM | Prefix = Prefix(decoder) if condition == "input" else FiLM(blocks)
        self.tcn: ExplicitTCN | ImplicitTCN | None = None
        if tcn == "explicit":
            self.tcn = ExplicitTCN(self.enters.start(len(self.tasks), width))
        elif tcn == "implicit":
            start_SE = self.enters.start(1, width)
            self.tcn = ImplicitTCN(start_SE[0], **conf)
            # What the tasks' embeddings are when there is no example: in validation, in inference, for a batch of one.
            self.register_buffer("stored_SE", start_SE.repeat(len(self.tasks), 1))
            self.register_buffer("batches_S", torch.zeros(len(self.tasks)))

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        if self.strategy == "maml" and self.training:
            return maml_loss(self, self.loss_of, batch, self.inner_lr, self.order, outer_only="tcn")
        return self.loss_of(batch)

    def loss_of(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """The loss of a batch of one task."""
        number = int(batch["task"][0])
        task = self.streams[number]
        target = batch["text"], batch["text_lengths"]
        source = self.source(task, *self.read(task, batch))
        with self.enters.by(self.embedding(number, source, target)):
            memory = self.encoded(source)
            loss, acc = self.attention_loss(self.decoder, memory, *target, self.starts[task], self.eos)
        return loss, {"acc": acc}

    def read(self, task: str, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """What a task reads of a batch, and the lengths."""
        name = self.stream(task).reads
        return batch[name], batch[f"{name}_lengths"]

    def source(self, task: str, x: torch.Tensor, lengths_B: torch.Tensor) -> Source:
        """The source after its preprocessing layer: convolutions of speech, embeddings of text."""
        if x.is_floating_point():
            return self.encoder.embed_input(*self.features(x, lengths_B))
        tokens_BL = torch.nn.functional.pad(x[:, : lengths_B.max()], (len(self.before_source[task]), 0))
        tokens_BL[:, : len(self.before_source[task])] = tokens_BL.new_tensor(self.before_source[task])
        tokens_BL = with_start(tokens_BL, self.sos, self.eos)  # a source starts with <sos/eos>, as that of `mt` does
        return self.src_embed(tokens_BL), lengths_B + len(self.before_source[task]) + 1  # type: ignore[misc]

    def encoded(self, source: Source) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder states (B, T, D) and their lengths."""
        return self.encoder.blocks(*self.enters.source(*source))[:2]

    def embedding(self, number: int, source: Source, target: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor | None:
        """(B, E) or (1, E): the t_e that each example is given, in training that of another example of the batch."""
        if not isinstance(self.tcn, ImplicitTCN):
            return self.stored(number)
        if not self.training:
            return self.stored_SE[[number]]
        own_BE = self.embedding_of(source, target)
        with torch.no_grad():
            self.batches_S[number] += 1
            share = max(FORGETS, 1 / float(self.batches_S[number]))
            self.stored_SE[number].lerp_(own_BE.mean(0).to(self.stored_SE), share)
        if len(own_BE) == 1:  # no other example is there; 0 * keeps the gradients that other processes wait for
            return self.stored_SE[[number]].clone() + 0 * own_BE
        return own_BE[derangement(len(own_BE), own_BE.device)]

    def embedding_of(self, source: Source, target: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """(B, E) of each example, from its own source and target."""
        x, x_lengths_B = source
        tokens_BL = with_start(target[0], self.sos, self.eos)
        y_BLD = self.decoder.embed(tokens_BL)
        return self.tcn(x[0] if isinstance(x, tuple) else x, x_lengths_B, y_BLD, target[1] + 1)  # type: ignore[misc]

    def stored(self, number: int) -> torch.Tensor | None:
        """(1, E): a task's embedding where no example is looked at."""
        if self.tcn is None:
            return None
        if isinstance(self.tcn, ImplicitTCN):
            return self.stored_SE[[number]]
        return self.tcn(torch.tensor([number], device=self.tcn.ffn.weight.device))

    def encode(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.encoded(self.source("", speech, speech_lengths))

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        found = {}
        for task in (task for task in self.streams_from(batch) if task in options):
            with self.enters.by(self.stored(self.streams.index(task))):
                read = self.read(task, batch)
                is_speech = self.stream(task).reads == "speech"
                memory = self.encode_slices(*read) if is_speech else self.encoded(self.source(task, *read))
                found[task] = self.search(self.decoder, memory, [self.starts[task]], self.eos, options[task])
        return found

    @torch.no_grad()
    def complete(self, batches: Iterable[tuple[list[str], Batch]]) -> dict[str, Any]:
        """Make the embeddings of inference from training examples, once; returns those of the examples."""
        if not isinstance(self.tcn, ImplicitTCN):
            return {}
        ids: dict[str, list[str]] = {task: [] for task in self.streams}
        vectors: dict[str, list[torch.Tensor]] = {task: [] for task in self.streams}
        for batch_ids, batch in batches:
            task = self.streams[int(batch["task"][0])]
            if len(ids[task]) < EXAMPLES:
                source = self.source(task, *self.read(task, batch))
                vectors[task] += self.embedding_of(source, (batch["text"], batch["text_lengths"])).float()
                ids[task] += batch_ids
            if all(len(ids[name]) >= EXAMPLES for name, said in self.tasks.items() if said.weight != 0):
                break
        for number, task in enumerate(self.streams):
            if vectors[task]:
                self.stored_SE[number] = torch.stack(vectors[task]).mean(0)
        rounded = {task: [[round(x, 4) for x in row.tolist()] for row in vectors[task]] for task in self.streams}
        return {task: (ids[task], rounded[task]) for task in self.streams if ids[task]}
