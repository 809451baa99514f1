"""Ask a policy that learned bandits of few pulls for many: what it does beyond the length that it was trained on.

    python benchmarks/longer_trials.py RUN [--pulls 500] [--bandits 2000]

RUN is the folder of a finished `automl-meta metarl` with a learner that remembers; prints the mean total reward of the
policy and of every rule on the same test bandits, one thread.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import typer
from safetensors.torch import load_file

from automl_meta.exceptions import StoreError
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.result import FOLDER
from automl_meta.metarl.settings import BANDITS, REMEMBERING
from automl_meta.metarl.trial_run import TrialRun
from automl_meta.training.device import computing_on
from automl_meta.training.folder import WEIGHTS


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    pulls: Annotated[int, typer.Option(min=1, help="Of a test trial.")] = 500,
    bandits: Annotated[int, typer.Option(min=2, help="Of the test.")] = 2000,
) -> None:
    """Print the rewards."""
    try:
        given = FOLDER.read(run)["settings"]
    except StoreError as error:
        print(f"Error: {error}")
        raise typer.Exit(1) from error
    if given["env"] != BANDITS or given["learner"] not in REMEMBERING:
        print(
            f"Error: {run} is of {given['learner']} in {given['env']}. Give a run of rl2 or snail on bandits."
        )
        raise typer.Exit(2)
    settings = recipe(
        given["learner"],
        BANDITS,
        arms=given["arms"],
        hidden=given["hidden"],
        episodes=pulls,
        train_episodes=given["train_episodes"] or given["episodes"],
        test_trials=bandits,
    )
    params = load_file(run / WEIGHTS)
    with computing_on("cpu", "float32", 1, where="longer_trials") as place:
        trial_run = TrialRun.of(settings, place)
        known = trial_run.policy.init(torch.Generator())
        if {name: leaf.shape for name, leaf in params.items()} != {
            n: x.shape for n, x in known.items()
        }:
            print(
                f"Error: the weights in {run} are of another version of the policy. Train it again."
            )
            raise typer.Exit(1)
        trained: Any = {settings.learner: SimpleNamespace(params=params)}
        for row in trial_run.tests(trained, None):
            print(f"{row['name']:14} {row['mean']:.2f} ± {row['interval95']:.2f}")


if __name__ == "__main__":
    typer.run(main)
