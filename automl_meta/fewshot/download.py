"""Downloads Omniglot from its official place, on a machine with internet."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from automl_meta.exceptions import NetworkError

#: The authors' repository.
OFFICIAL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
#: MD5 sums of the official files, as torchvision and torchmeta check them.
CHECKSUMS = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
_BLOCK = 1 << 16


def download_omniglot(folder: str | Path, *, timeout: float = 30.0, source: str = OFFICIAL) -> Path:
    """Download the two official zip files (about 16 MB), checked and whole or not at all.

    Files that are there with the right checksum are kept.

    Args:
        folder: Where to put them; it is made if need be. Pass it to ``load_omniglot`` afterwards.
        timeout: Seconds without an answer after which to give up.
        source: URL of a folder that has the two files.

    Returns:
        The folder.

    Raises:
        NetworkError: If the source cannot be reached, or sends something else than the official files.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, checksum in CHECKSUMS.items():
        file = target / name
        if not (file.is_file() and _checksum(file) == checksum):
            _download(f"{source}/{name}", file, checksum, timeout)
    return target


def _download(url: str, file: Path, checksum: str, timeout: float) -> None:
    partial = file.with_name(file.name + ".partial")
    try:
        _fetch(url, partial, timeout)
        received = _checksum(partial)
        if received != checksum:
            msg = f"{url} sent a file with MD5 {received} instead of {checksum}. Try again later."
            raise NetworkError(msg)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _fetch(url: str, partial: Path, timeout: float) -> None:
    try:
        # The URL is the caller's own, and what it sends is checked.
        with urllib.request.urlopen(url, timeout=timeout) as answer, partial.open("wb") as out:  # noqa: S310
            while block := answer.read(_BLOCK):
                out.write(block)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        reason = getattr(error, "reason", None) or error
        msg = (
            f"Could not download {url} ({reason}). Without internet, copy the two zip files "
            f"into {partial.parent} yourself, or name a folder that has them with --data."
        )
        raise NetworkError(msg) from error


def _checksum(file: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as blocks:
        while block := blocks.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
