"""Medical images with few labels: ultrasound of the breast and X-rays of the chest. It is no medical device.

Learners are meta-trained on two-way episodes of Omniglot's characters and of digits, far from medicine as these are, then
given K labelled images of each class of BreastMNIST or PneumoniaMNIST and tested on the official test images. Beside
them: the same network from random weights, logistic regression on the pixels, and the same network with all training
images, which is what labels would buy. Finished parts are kept; start it again to go on:

    AUTOML_META_DATA=DATA python examples/medical_images.py --seconds 240 --output reports/medical_images
"""

import argparse
import json
import shlex
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from automl_meta._resources import DATA_VARIABLE, data_folder
from automl_meta.exceptions import AutomlMetaError
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.domains import load_digits
from automl_meta.fewshot.embedded import EmbeddedLearner
from automl_meta.fewshot.episodes import Episodes, EpisodeSampler
from automl_meta.fewshot.learners import GradientLearner, Learner
from automl_meta.fewshot.networks import conv4, conv4_features
from automl_meta.fewshot.omniglot import load_omniglot
from automl_meta.fewshot.protonet import NearestPrototype
from automl_meta.metalearn import FineTuning, MetaSGD
from automl_meta.metalearn.losses import cross_entropy
from automl_meta.statistics import half_interval
from automl_meta.statistics.diagnosis import FIGURES, Diagnosis, diagnosis
from automl_meta.training import TrainingSettings, train

SIZE, FILTERS = 28, 32
TRAIN_SHOTS, TRAIN_QUERIES, META_BATCH = 5, 5, 8
#: Steps of descent from random weights, with few labels and with all.
SCRATCH_STEPS, FULL_STEPS = 50, 300
#: Data set to the label that means illness.
ILL = {"breastmnist": 0, "pneumoniamnist": 1}
METHODS = {
    "protonet": "prototypical networks",
    "meta-sgd": "Meta-SGD",
    "scratch": "from random weights",
    "logistic": "logistic regression on pixels",
}
WARNING = "**This is a comparison of learners on public images. It is no medical device and no medical advice.**"


@dataclass(frozen=True)
class Images:
    """A medical data set: training images to draw labels from, and the official test.

    Attributes:
        train_x: float32 in [0, 1], shape [n, 1, 28, 28].
        train_y: 1 for the ill, shape [n].
        test_x: Shape [m, 1, 28, 28].
        test_y: Shape [m].
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def main() -> None:
    """Run what is missing, then write the report."""
    options = _options()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    try:
        for name in ILL:
            images = load_images(name, options.data)
            for shots in [*map(int, options.shots.split(",")), *([0] if options.full else [])]:
                for method in METHODS if shots else ("scratch", "logistic"):
                    rows += kept(name, images, method, shots, options)
                    print(name, method, shots or "all", rows[-1]["auc"], flush=True)
    except AutomlMetaError as error:
        sys.exit(str(error))
    write_report(pd.DataFrame(rows), options)


def load_images(name: str, folder: Path | None) -> Images:
    """Read a data set from the data folder."""
    found = data_folder() if folder is None else folder
    path = None if found is None else found / "images" / f"{name}.npz"
    if path is None or not path.is_file():
        sys.exit(f"{path or name} is missing. Set {DATA_VARIABLE} to the data folder.")
    with np.load(path, allow_pickle=False) as stored:
        parts = {
            part: (stored[f"{part}_images"], stored[f"{part}_labels"]) for part in ("train", "test")
        }
    tensors = []
    for images, labels in parts.values():
        tensors += [
            torch.from_numpy(images).unsqueeze(1).float() / 255,
            torch.from_numpy((labels.ravel() == ILL[name]).astype(np.int64)),
        ]
    return Images(*tensors)


def kept(
    name: str, images: Images, method: str, shots: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the figures of all draws of the labels, from their file where it is there."""
    path = options.runs / f"{name}-{method}-{shots}-{options.draws}-{_trained_as(options)}.json"
    if not path.exists():
        rng = np.random.default_rng(options.seed)
        draws = options.draws if shots else 1
        found = []
        for _ in range(draws):
            rows = drawn(images.train_y, shots, rng) if shots else np.arange(len(images.train_y))
            told = probabilities(images, rows, method, options)
            found.append(asdict(judged(images, told)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    facts = {"data": name, "method": method, "shots": shots}
    return [facts | row for row in json.loads(path.read_text())]


def drawn(labels: Tensor, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of so many images of each class, class 0 first."""
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels.numpy() == c), shots, replace=False) for c in (0, 1)]
    )


def judged(images: Images, told: np.ndarray) -> Diagnosis:
    """Return the figures of the official test."""
    return diagnosis(images.test_y.numpy(), told.astype(np.float64).clip(0.0, 1.0))


def probabilities(
    images: Images, rows: np.ndarray, method: str, options: argparse.Namespace
) -> np.ndarray:
    """Learn from some training images and return the probability of illness of each test image."""
    x, y = images.train_x[rows], images.train_y[rows]
    if method == "logistic":
        model = LogisticRegression(C=0.01, max_iter=2000).fit(x.flatten(1).numpy(), y.numpy())
        return np.asarray(model.predict_proba(images.test_x.flatten(1).numpy())[:, 1])
    episode = Episodes(x[None], y[None], images.test_x[None], images.test_y[None], 2)
    learner, meta = trained(method, options)
    steps = None
    if method == "scratch":
        steps = SCRATCH_STEPS if len(rows) < 1000 else FULL_STEPS
    logits = learner.predict(meta, episode, steps=steps)[0]
    return logits.softmax(dim=1)[:, 1].numpy()


def make_learner(method: str, seed: int) -> Learner:
    """Make a learner of two classes."""
    generator = torch.Generator().manual_seed(seed)
    if method == "protonet":
        features = conv4_features(filters=FILTERS, pooling="stride", generator=generator)
        return EmbeddedLearner(features, NearestPrototype(), transductive=False)
    algorithm: Any = MetaSGD(initial_rate=0.1, steps=3)
    if method == "scratch":
        algorithm = FineTuning(rate=0.1)
    network = conv4(2, filters=FILTERS, generator=generator)
    return GradientLearner(algorithm, network, loss=cross_entropy, transductive=False)


@cache
def _characters(folder: Path | None) -> FewShotDataset:
    """Return the classes of meta-training: Omniglot's characters and the digits of four domains."""
    omniglot = load_omniglot(None if folder is None else str(folder))
    parts = {"": omniglot, **load_digits(folder, SIZE)}
    images, labels = [], []
    for name, part in parts.items():
        table = part.classes
        for place, (start, count) in enumerate(zip(table.starts, table.counts, strict=True)):
            images.append(part.images[start : start + count])
            labels += [f"{name}/{part.names[place]}"] * int(count)
    return FewShotDataset.from_arrays(torch.cat(images), labels)


def trained(method: str, options: argparse.Namespace) -> tuple[Learner, Mapping[str, Tensor]]:
    """Return a learner and its meta-parameters, trained once."""
    learner = make_learner(method, options.seed)
    meta = learner.init(torch.Generator().manual_seed(options.seed))
    if method == "scratch":
        return learner, meta
    path = options.runs / f"{method}-{_trained_as(options)}"
    source = EpisodeSampler(_characters(options.data), 2, TRAIN_SHOTS, TRAIN_QUERIES)

    def gradient(
        params: dict[str, Tensor], generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return learner.meta_gradients(params, source.sample(META_BATCH, generator), progress)

    settings = TrainingSettings(
        steps=options.steps,
        seconds=None if options.steps else options.seconds,
        learning_rate=2e-3,
        schedule="cosine",
    )
    generator = torch.Generator().manual_seed(options.seed)
    # The checkpoint of a finished training answers at once.
    result = train(meta, gradient, settings=settings, generator=generator, folder=path, resume=True)
    return learner, result.params


def write_report(rows: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write a table for each data set and number of labels."""
    lines = ["# Medical images with few labels", "", WARNING, ""]
    about = " ".join((__doc__ or "").split("\n\n")[1].split()).partition(" Finished parts")[0]
    lines += [about, ""]
    for (name, shots), own in rows.groupby(["data", "shots"], sort=False):
        amount = (
            f"{shots} labels a class, {options.draws} draws" if shots else "all training images"
        )
        lines += [f"## {name}, {amount}", ""]
        lines += [f"| method | {' | '.join(FIGURES.values())} |", "|---|" + "---:|" * len(FIGURES)]
        for method, title in METHODS.items():
            mine = own[own["method"] == method]
            if mine.empty:
                continue
            spread = half_interval(mine["auc"]) if len(mine) > 1 else 0.0
            cells = [f"{mine[figure].mean():.3f}" for figure in FIGURES]
            cells[0] += f" ± {spread:.3f}" if spread else ""
            lines.append(f"| {title} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        f"Means over draws, seed {options.seed}; the interval is over the draws of the labels. Called ill from a probability of one "
        "half on. Each image is normalised by the statistics of the labelled ones. "
        + _training(options),
        "",
        f"Made with: `AUTOML_META_DATA=DATA python {shlex.join(sys.argv)}`",
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _trained_as(options: argparse.Namespace) -> str:
    """Return a name for the meta-training: another one makes other files."""
    amount = f"{options.steps}-steps" if options.steps else f"{options.seconds:g}-seconds"
    return f"{amount}-{options.seed}"


def _numbers(text: str) -> str:
    """Check a list of numbers of labels."""
    if not all(part.isdigit() and int(part) > 0 for part in text.split(",")):
        raise argparse.ArgumentTypeError("give whole numbers >= 1, such as 1,5,20")
    return text


def _training(options: argparse.Namespace) -> str:
    amount = (
        f"{options.steps} steps" if options.steps else f"{options.seconds:g} seconds on one core"
    )
    return (
        f"Meta-training: {amount} each, {TRAIN_SHOTS} labels a class; Meta-SGD takes three steps."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, help="the data folder; default AUTOML_META_DATA")
    parser.add_argument("--output", type=Path, default=Path("medical-images"))
    parser.add_argument("--runs", type=Path, default=Path("runs/medical-images"))
    parser.add_argument("--shots", type=_numbers, default="1,5,20", help="labels a class")
    parser.add_argument(
        "--full",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train on all images too, for comparison",
    )
    parser.add_argument("--draws", type=int, default=20, help="of the labels")
    parser.add_argument("--seconds", type=float, default=240.0, help="of each meta-training")
    parser.add_argument("--steps", type=int, help="of each meta-training, instead of a time")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
