"""ESPnet's experiments compute the same here."""

from pathlib import Path

import kaldiio
import numpy as np
import pytest
import yaml
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.st import STTask as EspnetSTTask

from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.search.options import SearchOptions
from tests.support.espnet_exp import CASES, CHARACTERS, SMALL, SPEECH, assert_same, inputs_of, save_as_espnet

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("case", CASES)
def test_espnets_models_compute_the_same_here(case: str, tmp_path: Path) -> None:
    task, config = CASES[case]
    theirs = save_as_espnet(tmp_path / "exp", task, **config)
    found = load_experiment(tmp_path / "exp")
    assert sum(p.numel() for p in found.model.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert_same(found.model, theirs, config.get("input_size") is None and task is ASRTask)
    side = found.src_subwords if case.startswith("asr") else found.tgt_subwords
    assert side.decode(side.encode("wine and tea")) == "wine and tea"


def test_parts_that_no_system_has_are_refused(tmp_path: Path) -> None:
    config = {**CASES["st"][1], "hier_encoder": "transformer", "hier_encoder_conf": {**SMALL, "input_layer": None}}
    save_as_espnet(tmp_path / "exp", EspnetSTTask, **config)
    with pytest.raises(ValueError, match="hier_encoder: transformer: no system here has such a part"):
        load_experiment(tmp_path / "exp")


def test_a_model_that_espnet_trained_computes_the_same_here(tmp_path: Path) -> None:
    from espnet2.bin.st_train import main

    rng = np.random.default_rng(0)
    feats = {f"utt{i}": rng.normal(size=(40 + 5 * i, 80)).astype(np.float32) for i in range(6)}
    kaldiio.save_ark(str(tmp_path / "feats.ark"), feats, scp=str(tmp_path / "feats.scp"))
    (tmp_path / "text").write_text("".join(f"{key} ab cd\n" for key in feats), encoding="utf-8")
    (tmp_path / "tokens").write_text("\n".join(CHARACTERS) + "\n", encoding="utf-8")
    frames = np.concatenate(list(feats.values()))
    np.savez(tmp_path / "stats.npz", count=len(frames), sum=frames.sum(0), sum_square=(frames**2).sum(0))
    config = {
        **SPEECH,
        "encoder": "transformer",
        "encoder_conf": SMALL,
        "model_conf": {"asr_weight": 0.3, "mtlalpha": 1.0},
    }
    config |= {"token_list": str(tmp_path / "tokens"), "src_token_list": str(tmp_path / "tokens")}
    config |= {"token_type": "char", "src_token_type": "char", "output_dir": str(tmp_path / "exp")}
    config |= {"normalize": "global_mvn", "normalize_conf": {"stats_file": str(tmp_path / "stats.npz")}}
    config |= {"optim": "adam", "max_epoch": 1, "num_att_plot": 0, "use_tensorboard": False}
    config |= {"batch_type": "unsorted", "batch_size": 3, "num_workers": 0}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = ["--config", str(tmp_path / "train.yaml")]
    for part in ("train", "valid"):
        for path, name, kind in (
            ("feats.scp", "speech", "kaldi_ark"),
            ("text", "text", "text"),
            ("text", "src_text", "text"),
        ):
            command += [f"--{part}_data_path_and_name_and_type", f"{tmp_path / path},{name},{kind}"]
        command += [f"--{part}_shape_file", str(tmp_path / "text")]
    main(command)
    theirs, _ = EspnetSTTask.build_model_from_file(tmp_path / "exp/config.yaml", tmp_path / "exp/valid.acc.ave.pth")
    (tmp_path / "stats.npz").unlink()  # the experiment must do without
    ours = load_experiment(tmp_path / "exp").model
    assert_same(ours, theirs.eval())
    hypotheses = ours.decode(
        dict(zip(("speech", "speech_lengths"), inputs_of(ours))), {"st": SearchOptions(max_length=9)}
    )
    assert len(hypotheses["st"]) == 1
