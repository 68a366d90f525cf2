"""What languages differ in: whether spaces part their words, and how their words are counted.

A language is named by its code, with or without a region: `zh`, `zh-CN`.
"""

UNSPACED = {"zh", "yue", "ja", "th", "lo", "km", "my"}
BLEU_TOKENIZERS = {"zh": "zh", "ja": "ja-mecab"}  # sacreBLEU's, where its default is not the right one


def without_region(lang: str) -> str:
    return lang.partition("-")[0]


def is_spaced(lang: str) -> bool:
    return without_region(lang) not in UNSPACED


def error_metric(lang: str) -> str:
    """How transcripts are judged: a language without spaces has no words to count errors by."""
    return "wer" if is_spaced(lang) else "cer"


def bleu_tokenizer(lang: str) -> str:
    """How sacreBLEU cuts a language into words."""
    return BLEU_TOKENIZERS.get(without_region(lang), "13a")


def text_unit(lang: str) -> str:
    """What the length of a text is counted in."""
    return "word" if is_spaced(lang) else "char"


def count_units(text: str, unit: str) -> int:
    """Words, however many spaces part them; or characters that are no spaces."""
    return len("".join(text.split())) if unit == "char" else len(text.split())
