"""Few-shot classification: read five new characters from one drawing of each.

Learners are trained on episodes of 1,100 of Omniglot's characters (a hundred more choose the best step), then given one
drawing (and five) of each of five characters that they never saw, and asked about other drawings. Beside them stands
the nearest neighbour in pixels, which learns nothing. Finished trainings are kept; start it again to go on:

    AUTOML_META_DATA=DATA python examples/few_shot_classification.py --seconds 120 --output reports/few_shot_classification
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

from automl_meta.exceptions import AutomlMetaError
from automl_meta.fewshot.episodes import in_batches
from automl_meta.fewshot.recipes import recipe
from automl_meta.fewshot.run import TEST_SEED, run_fewshot
from automl_meta.fewshot.settings import FewShotSettings
from automl_meta.fewshot.setup import make_sources

TITLES = {
    "protonet": "prototypical networks",
    "matching": "matching networks",
    "meta-sgd": "Meta-SGD",
    "maml": "MAML",
}
WAYS = 5


def main() -> None:
    """Run what is missing, then write the report."""
    options = _options()
    torch.set_num_threads(1)
    names = options.learners.split(",")
    if unknown := [name for name in names if name not in TITLES]:
        sys.exit(f"No such learner: {', '.join(unknown)}. Choose among {', '.join(TITLES)}.")
    rows = []
    try:
        for name in names:
            for shots in (1, 5):
                folder = options.runs / f"{name}-{shots}-{_amount(options)}".replace(" ", "-")
                result = run_fewshot(settings(name, shots, options), folder, resume=True)
                rows.append((TITLES[name], shots, result.document))
                print(TITLES[name], shots, result.document["tests"][0]["mean"], flush=True)
        pixels = {shots: nearest_pixels(settings(names[0], shots, options)) for shots in (1, 5)}
    except AutomlMetaError as error:
        sys.exit(str(error))
    write_report(rows, pixels, options)


def settings(name: str, shots: int, options: argparse.Namespace) -> FewShotSettings:
    """Return a learner's recipe with the options' budget."""
    budget = {"steps": options.steps} if options.steps else {"seconds": options.seconds}
    return recipe(
        name,
        "omniglot",
        ways=WAYS,
        shots=shots,
        test_episodes=options.episodes,
        data_folder=None if options.data is None else str(options.data),
        seed=options.seed,
        threads=1,
        device="cpu",
        **budget,
    )


def nearest_pixels(of: FewShotSettings) -> float:
    """Return the accuracy of the nearest drawing, by its pixels, on the test's episodes."""
    source = make_sources(of, torch.device("cpu")).test[of.shots]
    generator, right = torch.Generator().manual_seed(TEST_SEED), []
    for episodes in in_batches(source, of.test_episodes, 20, generator):
        apart = torch.cdist(episodes.query_x.flatten(2), episodes.support_x.flatten(2))
        told = episodes.support_y.gather(1, apart.argmin(2))
        right += (told == episodes.query_y).float().mean(1).tolist()
    return sum(right) / len(right)


def write_report(
    rows: list[tuple[str, int, dict[str, Any]]],
    pixels: dict[int, float],
    options: argparse.Namespace,
) -> None:
    """Write the table."""
    lines = ["# Few-shot classification: five new characters", ""]
    about = " ".join((__doc__ or "").split("\n\n")[1].split()).partition(" Finished")[0]
    lines += [about, "", "| learner | 1 drawing of each | 5 drawings of each |", "|---|---:|---:|"]
    for title in dict.fromkeys(title for title, _, _ in rows):
        tests = {shots: found["tests"][0] for own, shots, found in rows if own == title}
        cells = [f"{100 * t['mean']:.2f} ± {100 * t['interval95']:.2f} %" for t in tests.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    near = " | ".join(f"{100 * accuracy:.2f} %" for accuracy in pixels.values())
    lines += [f"| nearest neighbour in pixels | {near} |", ""]
    lines += [
        (
            f"Accuracy over {options.episodes:,} episodes, the same for all, 95 % interval; training: {_amount(options)} "
            f"each on one thread, seed {options.seed}. Longer trainings: `automl-meta fewshot --suite omniglot`."
        ),
        "",
        f"Made with: `AUTOML_META_DATA=DATA python {shlex.join(sys.argv)}`",
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _amount(options: argparse.Namespace) -> str:
    return f"{options.steps} steps" if options.steps else f"{options.seconds:g} seconds"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, help="the data folder; default AUTOML_META_DATA")
    parser.add_argument("--output", type=Path, default=Path("few-shot-classification"))
    parser.add_argument("--runs", type=Path, default=Path("runs/few-shot-classification"))
    parser.add_argument("--learners", default=",".join(TITLES))
    parser.add_argument("--seconds", type=float, default=120.0, help="of each training")
    parser.add_argument("--steps", type=int, help="of each training, instead of a time")
    parser.add_argument("--episodes", type=int, default=1000, help="of each test")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
