"""Meta-batches a second: our episode sampler beside per-image loading, on one machine in one run.

Per-image loading is what torchmeta does: a ``Dataset`` whose items are pictures, each opened, converted to
gray, resized, turned and made a tensor in Python, then stacked. It is measured in two forms: ``png`` opens
files on disk (written beforehand into a temporary folder from the 105 x 105 bits), ``memory`` starts from
105 x 105 arrays that are in memory already, which is the kinder form. All sides use one process and the same
number of threads, and draw the same kind of meta-batch: 32 tasks, 1 shot, 15 queries, rotations as classes.

    python benchmarks/episodes.py --data ../shared/data --output reports/omniglot/episodes.json
"""

import argparse
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.episodes import EpisodeSampler
from automl_meta.fewshot.omniglot import load_omniglot, split_characters

TASKS, SHOTS, QUERIES, SIZE, TURNS, DRAWINGS = 32, 1, 15, 28, 4, 20


class Pictures(Dataset[Tensor]):
    """Pictures one at a time, as [1, 28, 28] floats with ink bright.

    Attributes:
        sources: Files (black ink) or 105 x 105 arrays (bright ink), all drawings of a class side by side.
    """

    def __init__(self, sources: Sequence[Path] | np.ndarray[Any, Any]) -> None:
        self.sources = sources

    def __len__(self) -> int:
        """Return the number of pictures, turned ones included."""
        return len(self.sources) * TURNS

    def __getitem__(self, item: int) -> Tensor:
        """Load, resize and turn one picture."""
        number, turn = divmod(item, TURNS)
        source = self.sources[number]
        if isinstance(source, Path):
            with Image.open(source) as opened:
                picture = ImageOps.invert(opened.convert("L"))
        else:
            picture = Image.fromarray(source)
        picture = picture.resize((SIZE, SIZE)).rotate(90 * turn)
        # What torchvision's ToTensor does.
        return torch.from_numpy(np.array(picture)).unsqueeze(0).float().div_(255)


def load_task(pictures: Pictures, ways: int, rng: random.Random) -> tuple[Tensor, ...]:
    """Load one episode picture by picture."""
    classes = rng.sample(range(len(pictures) // DRAWINGS), ways)
    parts: tuple[list[Tensor], ...] = ([], [])
    labels: tuple[list[int], ...] = ([], [])
    for label, chosen in enumerate(classes):
        character, turn = divmod(chosen, TURNS)
        for i, drawing in enumerate(rng.sample(range(DRAWINGS), SHOTS + QUERIES)):
            part = int(i >= SHOTS)
            parts[part].append(pictures[(character * DRAWINGS + drawing) * TURNS + turn])
            labels[part].append(label)
    stacked = [torch.stack(part) for part in parts]
    return stacked[0], torch.tensor(labels[0]), stacked[1], torch.tensor(labels[1])


def load_batch(pictures: Pictures, ways: int, rng: random.Random) -> list[Tensor]:
    """Load a meta-batch picture by picture."""
    tasks = [load_task(pictures, ways, rng) for _ in range(TASKS)]
    return [torch.stack(part) for part in zip(*tasks, strict=True)]


def seconds_per_call(call: Callable[[], object], budget: float, least: int) -> float:
    """Return the median duration of a call, after one that is not counted."""
    call()
    durations: list[float] = []
    while len(durations) < least or (sum(durations) < budget and len(durations) < 1000):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return median(durations)


def write_pictures(dataset: FewShotDataset, folder: Path) -> list[Path]:
    """Write the drawings as the official files are: one bit a pixel, ink black."""
    files = []
    rows = zip(dataset.classes.starts.tolist(), dataset.classes.counts.tolist(), strict=True)
    for c, (start, count) in enumerate(rows):
        place = folder / f"character{c:04}"
        place.mkdir()
        for i in range(count):
            files.append(place / f"{i:02}.png")
            ink = dataset.images[start + i, 0].numpy()
            Image.fromarray(255 - ink).convert("1").save(files[-1])
    return files


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure all forms for both numbers of ways."""
    large = split_characters(load_omniglot(options.data, image_size=105)).train
    train = split_characters(load_omniglot(options.data)).train.with_rotations().to(options.device)
    files = write_pictures(large, folder)
    starts = large.classes.starts.unsqueeze(1)
    arrays = large.images[(starts + torch.arange(DRAWINGS)).flatten(), 0].numpy()
    slow = {"png": Pictures(files), "memory": Pictures(arrays)}
    results = {}
    for ways in (5, 20):
        sampler = EpisodeSampler(train, ways, SHOTS, QUERIES)
        seconds = {"ours": measure_ours(sampler, options.budget)}
        for name, pictures in slow.items():
            rng = random.Random(0)
            check(load_batch(pictures, ways, rng), sampler)
            call = lambda p=pictures, w=ways, r=rng: load_batch(p, w, r)  # noqa: E731
            seconds[name] = seconds_per_call(call, options.budget, least=3)
        results[f"{ways}-way"] = summary(seconds)
    return results


def measure_ours(sampler: EpisodeSampler, budget: float) -> float:
    """Return the seconds a meta-batch of our sampler takes, on the device to the end."""
    generator = torch.Generator().manual_seed(0)

    def call() -> None:
        sampler.sample(TASKS, generator)
        if sampler.dataset.images.is_cuda:
            torch.cuda.synchronize()

    return seconds_per_call(call, budget, least=20)


def check(loaded: list[Tensor], sampler: EpisodeSampler) -> None:
    """Assert that both sides do the same work: equal shapes and types, and about equal ink."""
    ours = sampler.sample(TASKS, torch.Generator().manual_seed(0))
    parts = (ours.support_x, ours.support_y, ours.query_x, ours.query_y)
    assert [(p.shape, p.dtype) for p in loaded] == [(p.shape, p.dtype) for p in parts]
    assert abs(float(loaded[2].mean()) - float(ours.query_x.mean())) < 0.02


def summary(seconds: dict[str, float]) -> dict[str, Any]:
    """Turn seconds a meta-batch into rates and ratios."""
    return {
        "milliseconds": {name: round(1000 * s, 3) for name, s in seconds.items()},
        "meta_batches_a_second": {name: round(1 / s, 2) for name, s in seconds.items()},
        "times_faster": {
            name: round(s / seconds["ours"], 1) for name, s in seconds.items() if name != "ours"
        },
    }


def main() -> None:
    """Measure, print a table and the JSON, and write the JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None, help="folder with Omniglot")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=4.0, help="seconds for each measurement")
    parser.add_argument("--output", type=Path, default=None, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options, Path(folder))
    report = {
        "what": f"{TASKS} tasks, {SHOTS} shot, {QUERIES} queries, 28 x 28, median seconds",
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs",
        "torch": torch.__version__,
        "device": options.device,
        "threads": options.threads,
        "results": results,
    }
    print("|  | ours | png on disk | arrays in memory |\n|---|---|---|---|")
    for ways, row in results.items():
        cells = [
            f"{row['milliseconds'][name]:.1f} ms ({row['meta_batches_a_second'][name]:g}/s"
            + (f", ours {row['times_faster'][name]:g} times faster)" if name != "ours" else ")")
            for name in ("ours", "png", "memory")
        ]
        print(f"| {ways} | {' | '.join(cells)} |")
    text = json.dumps(report, indent=1)
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
