"""Reinforcement learning: a policy that learned to learn which arm of a bandit pays.

RL^2 is trained on bandits of five arms and then plays new ones, beside the rules that people derived, on the same bandits
with the same luck. Then it plays one bandit before your eyes. A finished training is kept:

    python examples/bandits.py --output reports/bandits_example
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from automl_meta.exceptions import AutomlMetaError
from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.play import PolicyPlayer, play
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.run import run_metarl
from automl_meta.metarl.settings import MetaRLSettings
from automl_meta.metarl.setup import make_policy
from automl_meta.report.metarl_view import METHODS

#: How often the arms of the bandit that is shown pay.
ARMS = (0.3, 0.1, 0.5, 0.9, 0.7)


class Shown(BernoulliBandits):
    """Bandits that all have these arms."""

    def reset(self, **_: Any) -> Any:
        """See ``BernoulliBandits.reset``."""
        return super().reset(options={"tasks": torch.tensor([ARMS] * self.num_envs)})


def main() -> None:
    """Train, test, show, write the report."""
    options = _options()
    settings = recipe(
        "rl2",
        "bandits",
        arms=len(ARMS),
        episodes=options.pulls,
        steps=options.steps,
        test_trials=options.bandits,
        validation_trials=options.bandits,
        seed=options.seed,
        threads=1,
        device="cpu",
    )
    folder = options.runs / f"{options.pulls}-{options.steps}-{options.bandits}-{options.seed}"
    try:
        result = run_metarl(settings, folder, resume=True)
    except AutomlMetaError as error:
        sys.exit(str(error))
    lines = ["# Bandits: a policy that learned to learn", ""]
    lines += [" ".join((__doc__ or "").split("\n\n")[1].split()).partition(" Then it")[0]]
    lines += ["", *table(result.document), "", *shown(settings, folder), ""]
    lines += [f"Made with: `python {shlex.join(sys.argv)}`"]
    print("\n".join(lines))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(document: dict[str, Any]) -> list[str]:
    """Return mean total rewards, the learned policy first."""
    settings, training = document["settings"], document["training"]
    lines = [
        (
            f"{settings['test_trials']:,} new bandits of {settings['arms']} arms and {settings['episodes']} pulls, "
            f"after {training['trials']:,} to learn from in {training['cpu_seconds']:.0f} seconds of processor time:"
        ),
        "",
        "| method | total reward, 95 % interval | in the last pull |",
        "|---|---:|---:|",
    ]
    for row in document["methods"]:
        reward = f"{row['mean']:.2f} ± {row['interval95']:.2f}"
        lines.append(f"| {METHODS[row['name']]} | {reward} | {row['rewards'][-1]:.3f} |")
    return lines


def shown(settings: MetaRLSettings, folder: Path) -> list[str]:
    """Play one bandit with the trained policy, and say which arms it pulled."""
    generator = torch.Generator().manual_seed(settings.seed)
    bandit = Shown(1, arms=len(ARMS), pulls=settings.episodes, generator=generator)
    policy = make_policy(settings, bandit)
    weights = load_file(folder / "meta.safetensors")
    with torch.no_grad():
        trial = play(PolicyPlayer(policy, weights, generator, greedy=True), bandit)
    pulls = [
        f"{arm + 1}{'+' if paid else '-'}"
        for arm, paid in zip(
            trial.actions[:, 0].tolist(), trial.rewards[:, 0].tolist(), strict=True
        )
    ]
    return [
        f"One bandit whose arms pay with the probabilities {', '.join(map(str, ARMS))}. Pulled arms, + where they paid:",
        "",
        f"`{' '.join(pulls)}`",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("bandits"))
    parser.add_argument("--runs", type=Path, default=Path("runs/bandits-example"))
    parser.add_argument("--pulls", type=int, default=10, help="of a trial")
    parser.add_argument("--steps", type=int, default=4000, help="of the training, 500 bandits each")
    parser.add_argument("--bandits", type=int, default=10_000, help="of the test")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
