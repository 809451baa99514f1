import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from automl_meta.exceptions import NetworkError
from automl_meta.fewshot import download
from automl_meta.fewshot.download import download_omniglot


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.requests.append(self.path)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A server on this machine in the official place's stead; yields its folder and its URL."""
    folder = tmp_path / "served"
    folder.mkdir()
    sums = {}
    for name in download.CHECKSUMS:
        content = name.encode() * 20000
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(download, "CHECKSUMS", sums)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}", server.requests
    server.shutdown()
    server.server_close()


def test_both_files_arrive_whole_and_are_kept(place, tmp_path):
    folder, url, requests = place
    target = download_omniglot(tmp_path / "a" / "b", source=url)
    for name in download.CHECKSUMS:
        assert (target / name).read_bytes() == (folder / name).read_bytes()
    assert len(list(target.iterdir())) == 2
    download_omniglot(target, source=url)
    assert len(requests) == 2  # nothing is fetched again
    (target / "images_background.zip").write_bytes(b"damaged")
    download_omniglot(target, source=url)
    assert len(requests) == 3


def test_other_content_is_refused_and_leaves_nothing(place, tmp_path):
    folder, url, _ = place
    (folder / "images_background.zip").write_bytes(b"something else")
    with pytest.raises(NetworkError, match=r"MD5 .* instead of"):
        download_omniglot(tmp_path / "target", source=url)
    assert list((tmp_path / "target").iterdir()) == []


def test_a_missing_file_and_no_server_are_one_line(place, tmp_path):
    folder, url, _ = place
    (folder / "images_background.zip").unlink()
    with pytest.raises(NetworkError, match=r"Could not download .*File not found.*--data") as error:
        download_omniglot(tmp_path, source=url)
    assert "\n" not in str(error.value)
    with pytest.raises(NetworkError, match="Could not download"):
        download_omniglot(tmp_path, source="http://127.0.0.1:1")


def test_the_official_sums_are_torchvisions():
    assert download.OFFICIAL.startswith("https://")
    assert download.CHECKSUMS == {
        "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
    }
