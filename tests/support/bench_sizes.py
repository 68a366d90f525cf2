"""The sizes of models and batches that benches measure, ours and those that they are compared with."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """An end-to-end Transformer and a training batch; `heads` of attention and `hidden` units in each layer."""

    encoder: int = 12
    decoder: int = 6
    width: int = 256
    heads: int = 4
    hidden: int = 2048
    vocabulary: int = 4000
    utterances: int = 24
    frames: int = 400
    tokens: int = 25

    def layers(self, blocks: int) -> dict[str, int]:
        """Options of a stack of ours, or ESPnet's."""
        return {"attention_heads": self.heads, "linear_units": self.hidden, "num_blocks": blocks}

    def hugging_face(self) -> dict[str, Any]:
        """Options of Hugging Face's Speech2Text."""
        sizes: dict[str, Any] = {"vocab_size": self.vocabulary, "d_model": self.width, "conv_channels": 512}
        for part, blocks in (("encoder", self.encoder), ("decoder", self.decoder)):
            of_part = {"layers": blocks, "ffn_dim": self.hidden, "attention_heads": self.heads}
            sizes |= {f"{part}_{name}": value for name, value in of_part.items()}
        return sizes | {"input_feat_per_channel": 80, "max_source_positions": 6000}


MEDIUM = Size()  # what the benches on CPUs measure


def hugging_face(size: Size, attention: str | None = None) -> Any:
    """Their model; with `attention: sdpa` by torch's kernels, which its layers take though it does not say so."""
    from transformers import Speech2TextConfig, Speech2TextForConditionalGeneration

    model = Speech2TextForConditionalGeneration(Speech2TextConfig(**size.hugging_face()))
    if attention is not None:
        model.config._attn_implementation = attention
    return model
