"""Options of the search: limits of length, wrong ones, and those of a stream."""

import pytest

from espnet_ext.search.options import SearchOptions, stream_options


@pytest.mark.parametrize(
    "changes, limits",
    [
        ({}, (0, 20)),
        ({"max_ratio": 0.5, "min_ratio": 0.2}, (4, 10)),
        ({"max_ratio": -7}, (0, 7)),
        ({"max_ratio": 2.0, "max_extra": 3}, (0, 43)),
        ({"max_length": 6, "min_ratio": 1.0}, (6, 6)),
        ({"max_ratio": 0.01}, (0, 1)),
    ],
)
def test_limits_of_length(changes: dict[str, float], limits: tuple[int, int]) -> None:
    options = SearchOptions(**changes)
    assert (options.shortest(20), options.longest(20)) == limits


@pytest.mark.parametrize(
    "conf, message",
    [
        ({"beam": 0}, "beam: 0; must be at least 1"),
        ({"ctc_weight": 1.5}, "ctc_weight: 1.5; must be from 0 to 1"),
        ({"bean": 5}, "unknown decode option 'bean'; choose from beam, nbest"),
        ({"src": {"beam": 5}}, "decode: src: only the streams"),
    ],
)
def test_wrong_options_are_named(conf: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stream_options(conf, ("asr",), {})


def test_options_of_a_stream_come_last() -> None:
    conf = {"beam": 7, "max_ratio": 1.5, "st": {"beam": 2}}
    options = stream_options(conf, ("asr", "st"), {"st": {"max_ratio": 2.0, "max_extra": 9}})
    assert (options["asr"].beam, options["st"].beam) == (7, 2)
    assert (options["asr"].max_extra, options["st"].max_ratio, options["st"].max_extra) == (0, 1.5, 9)
