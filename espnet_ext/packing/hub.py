"""Hand a pack to a model hub, by huggingface_hub where that is installed."""

import zipfile
from pathlib import Path

from espnet_ext.packing.layout import CARD, PackError


def upload(pack: Path, repo: str) -> str:
    """Put the pack and its card into `repo`, which is made if it is not there, private; returns its address."""
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise PackError(
            "--to_hub needs the package huggingface_hub; install it (pip install huggingface_hub), then: hf auth login"
        ) from None
    with zipfile.ZipFile(pack) as archive:
        card = archive.read(CARD)
    api = HfApi()
    try:
        address = api.create_repo(repo, private=True, exist_ok=True)
        for name, source in ((CARD, card), (pack.name, str(pack))):
            api.upload_file(path_or_fileobj=source, path_in_repo=name, repo_id=repo, commit_message=f"Add {name}")
    except Exception as error:  # of the network, the account or the name, each with a class of its own
        said = " ".join(str(error).split())[:300]
        raise PackError(f"{repo}: could not be uploaded ({type(error).__name__}: {said}); {pack} is whole") from error
    return str(address)
