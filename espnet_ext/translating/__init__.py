"""Recordings and texts in, texts with times out: what `espnet_ext.translate` is made of."""
