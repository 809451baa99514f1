"""Domain adaptation: learn digits in three domains, adapt to a fourth with a few labels of it.

Each of MNIST, optdigits, semeion and mfeat is left out once. Meta-SGD, MAML and prototypical networks learn from
episodes of the three others; beside them one network trained on the three as usual and then fine-tuned, and one
that sees nothing but the labels of the new domain. Both may choose their number of steps by the test, which
favours them. Finished parts are kept; start it again to go on:

    AUTOML_META_DATA=DATA python examples/domain_adaptation.py --seconds 120 --output reports/domain_adaptation
"""

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from automl_meta.exceptions import AutomlMetaError
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.domains import DomainSampler, joined_domains, load_digits
from automl_meta.fewshot.embedded import EmbeddedLearner
from automl_meta.fewshot.evaluate import evaluate
from automl_meta.fewshot.learners import GradientLearner, Learner
from automl_meta.fewshot.networks import conv4, conv4_features
from automl_meta.fewshot.protonet import NearestPrototype
from automl_meta.metalearn import MAML, FineTuning, MetaSGD
from automl_meta.metalearn.losses import cross_entropy
from automl_meta.training import TrainingSettings, train

TRAIN_SHOTS, TRAIN_QUERIES, TEST_QUERIES, META_BATCH = 5, 5, 15, 4
SIZE, FILTERS, N_CLASSES = 16, 32, 10
#: Inner steps of the meta-learners, and steps among which fine-tuning may choose by the test.
STEPS, FINE_STEPS = 3, (0, 10, 50, 200)


#: Options that decide a figure.
_DECIDE = ("shots", "seconds", "steps", "episodes", "seed")


@dataclass(frozen=True)
class Way:
    """One way to reach a new domain.

    Attributes:
        title: Its name in the report.
        make: Seeded generator to learner.
        trained: Whether it sees the other domains.
        steps: Numbers of steps to test; the best one is reported.
    """

    title: str
    make: Callable[[torch.Generator], Learner]
    trained: bool = True
    steps: tuple[int | None, ...] = (None,)


def ways() -> dict[str, Way]:
    """Return what is compared, by the names that ``--methods`` takes."""

    def adapting(algorithm: Any) -> Callable[[torch.Generator], Learner]:
        return lambda generator: GradientLearner(
            algorithm,
            conv4(N_CLASSES, filters=FILTERS, image_size=SIZE, generator=generator),
            loss=cross_entropy,
        )

    def prototypes(generator: torch.Generator) -> Learner:
        network = conv4_features(
            filters=FILTERS, image_size=SIZE, pooling="stride", generator=generator
        )
        return EmbeddedLearner(network, NearestPrototype())

    tuning = FineTuning(rate=0.1)
    return {
        "meta-sgd": Way("Meta-SGD", adapting(MetaSGD(initial_rate=0.1, steps=STEPS))),
        "maml": Way("MAML", adapting(MAML(rate=0.1, steps=STEPS))),
        "protonet": Way("Prototypical networks", prototypes),
        "fine-tuning": Way("trained on all, fine-tuned", adapting(tuning), steps=FINE_STEPS),
        "scratch": Way("from scratch", adapting(tuning), trained=False, steps=FINE_STEPS[1:]),
    }


def main() -> None:
    """Run what is missing, then write the report."""
    options = _options()
    torch.set_num_threads(1)
    every = ways()
    names = options.methods.split(",")
    unknown = [name for name in names if name not in every]
    if unknown:
        sys.exit(f"No such method: {', '.join(unknown)}. Choose among {', '.join(every)}.")
    try:
        domains = load_digits(options.data, SIZE)
    except AutomlMetaError as error:
        sys.exit(str(error))
    results = []
    for left in domains:
        for name in names:
            path = options.runs / f"{left}-{name}-{_digest(options)}.json"
            if not path.exists():
                result = measured(every[name], domains, left, options)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"domain": left, "method": name, **result}))
            results.append(json.loads(path.read_text()))
            print(left, name, results[-1]["accuracy"], flush=True)
    write_report(results, {n: every[n].title for n in names}, options)


def measured(
    way: Way, domains: Mapping[str, FewShotDataset], left: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Train on the other domains and test on one."""
    learner = way.make(torch.Generator().manual_seed(options.seed))
    meta = learner.init(torch.Generator().manual_seed(options.seed))
    seconds = 0.0
    if way.trained:
        source = DomainSampler(joined_domains(domains, without=left), TRAIN_SHOTS, TRAIN_QUERIES)

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
        result = train(meta, gradient, settings=settings, generator=generator)
        meta, seconds = result.params, result.cpu_seconds
    return {
        "cpu_seconds": round(seconds, 1),
        "accuracy": {
            shots: tested(way, learner, meta, domains[left], int(shots), options)
            for shots in options.shots.split(",")
        },
    }


def tested(
    way: Way,
    learner: Learner,
    meta: Mapping[str, Tensor],
    domain: FewShotDataset,
    shots: int,
    options: argparse.Namespace,
) -> dict[str, float | int | None]:
    """Return mean accuracy and interval after the best number of steps."""
    source = DomainSampler((domain,), shots, TEST_QUERIES)
    found = []
    for steps in way.steps:
        generator = torch.Generator().manual_seed(1_000_002)
        scores = evaluate(
            learner,
            meta,
            source,
            episodes=options.episodes,
            generator=generator,
            batch=10,
            steps=steps,
        )
        found.append((scores.mean, scores.interval95, steps))
    mean, interval, steps = max(found)
    return {"mean": round(mean, 4), "interval95": round(interval, 4), "steps": steps}


def write_report(
    results: list[dict[str, Any]], titles: Mapping[str, str], options: argparse.Namespace
) -> None:
    """Write one table a number of labels, with what was run."""
    domains = list(dict.fromkeys(r["domain"] for r in results))
    lines = ["# Domain adaptation: ten digits, a domain that was never seen", ""]
    about = " ".join((__doc__ or "").split("\n\n")[1].split()).partition(" Finished parts")[0]
    lines += [about, ""]
    for shots in options.shots.split(","):
        lines += [f"## {shots} labels a class", ""]
        lines += [f"| method | {' | '.join(domains)} | mean |"]
        lines += ["|---|" + "---:|" * (len(domains) + 1)]
        for name, title in titles.items():
            own = {r["domain"]: r["accuracy"][shots] for r in results if r["method"] == name}
            cells = [
                f"{100 * own[d]['mean']:.1f} ± {100 * own[d]['interval95']:.1f}" for d in domains
            ]
            mean = sum(own[d]["mean"] for d in domains) / len(domains)
            lines.append(f"| {title} | {' | '.join(cells)} | {100 * mean:.1f} |")
        lines.append("")
    longest = max(r["cpu_seconds"] for r in results)
    notes = (
        f"Accuracy in %, mean and 95 % interval over {options.episodes} draws of the labels and of {TEST_QUERIES} "
        f"other images a digit, seed {options.seed}; {SIZE}x{SIZE} pixels, four blocks of {FILTERS} filters, batch "
        f"statistics of the images at hand. Training: at most {longest:.0f} CPU-seconds each, on {TRAIN_SHOTS} labels "
        f"a class; the meta-learners take {STEPS} steps, the others the best of {', '.join(map(str, FINE_STEPS))} "
        "by the test."
    )
    command = f"Made with: `AUTOML_META_DATA=DATA python {shlex.join(sys.argv)}`"
    lines += [notes, "", command]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _digest(options: argparse.Namespace) -> str:
    """Return a name for all that decides a figure: other options make other files."""
    told = {k: str(v) for k, v in sorted(vars(options).items()) if k in _DECIDE}
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:10]


def _numbers(text: str) -> str:
    """Check a list of numbers of labels."""
    if not all(part.isdigit() and int(part) > 0 for part in text.split(",")):
        raise argparse.ArgumentTypeError("give whole numbers >= 1, such as 1,5,20")
    return text


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, help="the data folder; default AUTOML_META_DATA")
    parser.add_argument("--output", type=Path, default=Path("domain-adaptation"))
    parser.add_argument("--runs", type=Path, default=Path("runs/domain-adaptation"))
    parser.add_argument("--methods", default=",".join(ways()))
    parser.add_argument("--shots", type=_numbers, default="1,5,20", help="labels a class")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each training")
    parser.add_argument("--steps", type=int, help="of each training, instead of a time")
    parser.add_argument("--episodes", type=int, default=200, help="of each test")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
