"""Readers of corpora as their users have them unpacked, one module a layout; recipes compose them."""
