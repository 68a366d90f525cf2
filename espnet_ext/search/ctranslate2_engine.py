"""A text translator decoded by CTranslate2: the same weights and the same search in C++, faster on CPUs."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.models._base import BaseModel, Batch
from espnet_ext.nn.decoder import EPSILON, sinusoids
from espnet_ext.search.options import Hypothesis, SearchOptions

LONGEST = 2100  # tokens with a position: of a source at most 1000, of a translation twice as many
OFFERED = ("beam", "nbest", "length_norm", "max_ratio", "max_extra", "max_length", "pairing")  # of SearchOptions
DTYPES = {"fp32": None, "int8": "int8"}


def use_ctranslate2(experiment: Any, dtype: str) -> BaseModel:
    """The experiment's model, which CTranslate2 decodes from now on."""
    try:
        import ctranslate2
    except ImportError:
        raise ValueError(
            "engine ctranslate2: not installed; pip install ctranslate2==4.8.5, or choose the engine own"
        ) from None
    if dtype not in DTYPES:
        raise ValueError(f"engine ctranslate2: decodes in {' or '.join(DTYPES)}, not in {dtype}; choose one of them")
    refuse_others(experiment)
    with tempfile.TemporaryDirectory() as folder:
        save(experiment, Path(folder), DTYPES[dtype])
        threads = int(os.environ.get("OMP_NUM_THREADS", 0))
        translator = ctranslate2.Translator(folder, inter_threads=1, intra_threads=threads)
    tokens = experiment.config["src_token_list"], experiment.config["token_list"]
    model = experiment.model.eval()
    model.decode = Decode(translator, *tokens)
    return model


class Decode:
    """What stands in for the model's own `decode`."""

    def __init__(self, translator: Any, src_tokens: list[str], tgt_tokens: list[str]) -> None:
        self.translator, self.src_tokens, self.end = translator, src_tokens, tgt_tokens[-1]
        self.ids = {token: i for i, token in enumerate(tgt_tokens)}

    def __call__(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        ((stream, search),) = options.items()
        lengths = batch["src_text_lengths"].tolist()
        refuse_options(search)
        rows = zip(batch["src_text"].tolist(), lengths)
        found = self.translator.translate_batch(
            [[self.src_tokens[token] for token in row[:length]] for row, length in rows],
            beam_size=search.beam,
            num_hypotheses=search.nbest,
            length_penalty=search.length_norm,
            max_decoding_length=max(search.longest(length + 1) for length in lengths),
            max_input_length=0,
            return_scores=True,
            return_end_token=True,
        )
        return {stream: [self.hypotheses(*pair, search) for pair in zip(found, lengths)]}

    def hypotheses(self, result: Any, length: int, search: SearchOptions) -> list[Hypothesis]:
        """Cut at the sentence's own limit of length; the score of such a one is that of all that was written."""
        longest = search.longest(length + 1)  # of the encoder's states: the source starts with <sos/eos>
        nbest = []
        for words, score in zip(result.hypotheses, result.scores):
            ended = words[-1:] == [self.end] and len(words) <= longest
            tokens = [self.ids[word] for word in words if word != self.end][:longest]
            total = score * len(words) ** search.length_norm  # CTranslate2's is divided by it
            nbest.append(Hypothesis(tokens, total, cut=not ended))
        return nbest


def refuse_options(search: SearchOptions) -> None:
    default = SearchOptions()
    for name in vars(search):
        if name not in OFFERED and getattr(search, name) != getattr(default, name):
            raise ValueError(f"decode option {name}: engine ctranslate2 has {', '.join(OFFERED)}; choose engine own")


def refuse_others(experiment: Any) -> None:
    """Only what CTranslate2 computes alike."""
    config = experiment.config
    found = {name: config.get(name) for name in ("model", "encoder", "decoder")}
    found["input_layer"] = (config.get("encoder_conf") or {}).get("input_layer")
    wanted = {"model": "mt", "encoder": "transformer", "decoder": "transformer", "input_layer": "embed"}
    for name, value in wanted.items():
        if found[name] != value:
            what = f"{name} {found[name]}, and CTranslate2 takes {value}"
            raise ValueError(f"{experiment.folder}: has the {what}; choose the engine own")


def save(experiment: Any, folder: Path, quantization: str | None) -> None:
    """Write what CTranslate2 loads."""
    from ctranslate2.specs.transformer_spec import TransformerSpec

    config = experiment.config
    state = {name: value.detach().float().numpy() for name, value in experiment.model.state_dict().items()}
    halves = [experiment.model.encoder.encoders, experiment.model.decoder.decoders]
    width = state["decoder.embed.0.weight"].shape[1]
    spec = TransformerSpec.from_config(tuple(map(len, halves)), experiment.model.decoder.decoders[0].self_attn.heads)
    spec.encoder.embeddings[0].weight = state["encoder.embed.0.weight"]
    spec.decoder.embeddings.weight = state["decoder.embed.0.weight"]
    for half, name in ((spec.encoder, "encoder"), (spec.decoder, "decoder")):
        half.position_encodings.encodings = sinusoids(LONGEST, width).numpy()
        normalise(half.layer_norm, state, f"{name}.after_norm")
        for i, layer in enumerate(half.layer):
            fill(layer, state, f"{name}.{name}s.{i}")
    linear(spec.decoder.projection, state, "decoder.output_layer")
    spec.register_source_vocabulary(config["src_token_list"])
    spec.register_target_vocabulary(config["token_list"])
    end = config["token_list"][-1]
    spec.config.bos_token = spec.config.eos_token = spec.config.decoder_start_token = end
    spec.config.add_source_bos = True
    spec.config.layer_norm_epsilon = EPSILON
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))


def fill(layer: Any, state: dict[str, np.ndarray], name: str) -> None:
    """One layer; those of the decoder have a second attention and a third normalisation."""
    own, source = layer.self_attention, getattr(layer, "attention", None)
    normalise(own.layer_norm, state, f"{name}.norm1")
    linear(own.linear[0], state, *(f"{name}.self_attn.linear_{part}" for part in "qkv"))
    linear(own.linear[1], state, f"{name}.self_attn.linear_out")
    if source is not None:
        normalise(source.layer_norm, state, f"{name}.norm2")
        linear(source.linear[0], state, f"{name}.src_attn.linear_q")
        linear(source.linear[1], state, f"{name}.src_attn.linear_k", f"{name}.src_attn.linear_v")
        linear(source.linear[2], state, f"{name}.src_attn.linear_out")
    normalise(layer.ffn.layer_norm, state, f"{name}.norm{2 if source is None else 3}")
    linear(layer.ffn.linear_0, state, f"{name}.feed_forward.w_1")
    linear(layer.ffn.linear_1, state, f"{name}.feed_forward.w_2")


def normalise(spec: Any, state: dict[str, np.ndarray], name: str) -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def linear(spec: Any, state: dict[str, np.ndarray], *names: str) -> None:
    """One layer, or several on the same input as one."""
    spec.weight = np.concatenate([state[f"{name}.weight"] for name in names])
    spec.bias = np.concatenate([state[f"{name}.bias"] for name in names])
