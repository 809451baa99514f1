"""Time an outer step of RL^2 on a GPU: replayed from a CUDA graph beside the same step started kernel by kernel.

    python benchmarks/trial_steps.py [--pulls 500] [--trials 1000] [--hidden 128] [--repeats 5]

Both play new bandits and differentiate the same loss, in turns in one process; prints seconds a step and their ratio.
"""

import statistics
from typing import TYPE_CHECKING, Annotated

import torch
import typer

from automl_meta.benchmark import engine_cost
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.trial_run import TrialRun
from automl_meta.training.device import computing_on

if TYPE_CHECKING:
    from collections.abc import Callable


def main(
    pulls: Annotated[int, typer.Option(help="Of a trial.")] = 500,
    trials: Annotated[int, typer.Option(help="At once.")] = 1000,
    hidden: Annotated[int, typer.Option(help="Units of the policy.")] = 128,
    repeats: Annotated[int, typer.Option(help="Steps of each.")] = 5,
) -> None:
    """Print the times."""
    settings = recipe("rl2", "bandits", episodes=pulls, meta_batch=trials, hidden=hidden)
    if not torch.cuda.is_available():
        print("Error: PyTorch sees no GPU, and without one there is no graph to replay.")
        raise typer.Exit(2)
    with computing_on("cuda", "tf32", 1, where="trial_steps") as place:
        run = TrialRun.of(settings, place)
        start = run.policy.init(torch.Generator().manual_seed(0))
        params = {name: leaf.to(place.device) for name, leaf in start.items()}
        replayed = run.gradient()
        steps: dict[str, Callable[[], object]] = {
            "replayed": lambda: replayed(params, run.generator, 0.0),
            "kernel by kernel": lambda: run.plain_gradient(params, 0.0),
        }
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for round_ in range(repeats + 1):
            for name, step in steps.items():
                took = engine_cost.seconds(step, place.device)
                if round_:  # the first captures and warms up
                    seconds[name].append(took)
    print(f"RL^2, {trials} bandits, {pulls} pulls, {hidden} units on {place.name}")
    for name, times in seconds.items():
        print(f"{name:17} {statistics.median(times):.4f} s ({min(times):.4f}-{max(times):.4f})")
    medians = [statistics.median(times) for times in seconds.values()]
    print(f"replayed is {medians[1] / medians[0]:.2f} times as fast")


if __name__ == "__main__":
    typer.run(main)
