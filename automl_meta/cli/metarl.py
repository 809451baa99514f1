"""``automl-meta metarl``: train and test policies that learn a task by acting in it."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_meta.cli.values import budget as read_budget
from automl_meta.cli.values import check_only, decimals, wholes

if TYPE_CHECKING:
    from automl_meta.metarl.result import MetaRLResult
    from automl_meta.metarl.settings import MetaRLSettings

_WHERE = "metarl"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("metarl")(metarl)


def metarl(  # noqa: PLR0917 - typer turns the parameters into options
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write, new or empty; or see --resume.")
    ],
    learner: Annotated[
        str, typer.Option(metavar="NAME", help="rl2, snail, maml-rl, e-maml or promp.")
    ] = "rl2",
    env: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="For rl2 and snail bandits (Bernoulli) or mdps (tabular Markov decision processes); for the others "
            "navigation (in the plane) or cartpoles.",
        ),
    ] = "bandits",
    arms: Annotated[
        str | None,
        typer.Option(metavar="K", help="Arms of a bandit, or actions of a process.  [default: 5]"),
    ] = None,
    episodes: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Pulls of a bandit, or episodes of a process; or of a task before each inner step and "
            "after the last.  [default: 10; 20]",
        ),
    ] = None,
    train_episodes: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="rl2, snail: the same in the training, to learn from shorter trials.  [default: as many]",
        ),
    ] = None,
    states: Annotated[
        str | None, typer.Option(metavar="N", help="States of a process.  [default: 10]")
    ] = None,
    episode_steps: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Most steps of an episode but a bandit's.  [default: 10, 100 or 200]"
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|STEPS",
            help="Training time without validations (90s, 20m, 1h), or a plain number of steps.  "
            "[default: by the task]",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="D", help="auto (a GPU where there is one), cpu or cuda.  [default: auto]"
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="P", help="float32, tf32 or bf16, where the device has it.  [default: float32]"
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(metavar="N", help="Threads of PyTorch.  [default: its own]")
    ] = None,
    seed: Annotated[
        str | None, typer.Option(metavar="S", help="Of the weights and the training.  [default: 0]")
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="A TOML file with a list of runs, bandits, mdps or navigation: does all of them, each in a folder of "
            "--output; those that are finished are not repeated.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of a suite only this run; repeat for several."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --output, even a killed one.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print result.json to stdout instead of a summary.")
    ] = False,
    meta_batch: Annotated[
        str | None, typer.Option(metavar="N", help="Trials of an outer step.")
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(metavar="N", help="Units of the policy's memory, or of its two layers."),
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option(metavar="R", help="Learning rate of the outer loop.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(metavar="S", help="Of that rate: constant, cosine or linear.")
    ] = None,
    discount: Annotated[
        str | None, typer.Option(metavar="G", help="Discount of a step, at most 1.")
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option(metavar="L", help="Lambda of the generalised advantages, at most 1."),
    ] = None,
    entropy: Annotated[
        str | None,
        typer.Option(metavar="W", help="Weight of the entropy at the start of the training."),
    ] = None,
    validate_every: Annotated[
        str | None, typer.Option(metavar="N", help="Steps between validations.")
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(metavar="N", help="End after so many validations without improvement."),
    ] = None,
    test_trials: Annotated[
        str | None, typer.Option(metavar="N", help="Trials of the test.  [default: by the task]")
    ] = None,
    inner_steps: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Gradient steps on a task, but for rl2 and snail.  [default: 1]"
        ),
    ] = None,
    inner_rate: Annotated[
        str | None, typer.Option(metavar="R", help="Their learning rate.  [default: 0.1]")
    ] = None,
    test_steps: Annotated[
        str | None,
        typer.Option(metavar="N", help="Gradient steps on a task of the test.  [default: 3]"),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="promp: outer steps made from the same episodes.  [default: 5]"
        ),
    ] = None,
    clip: Annotated[
        str | None,
        typer.Option(metavar="C", help="promp: of the ratio of probabilities.  [default: 0.3]"),
    ] = None,
    divergence: Annotated[
        str | None,
        typer.Option(
            metavar="W",
            help="promp: weight of the divergence from the policy that played.  [default: 0.0005]",
        ),
    ] = None,
    credit: Annotated[
        str | None,
        typer.Option(
            metavar="W",
            help="e-maml: weight of the term that credits exploration.  [default: 1 / episodes]",
        ),
    ] = None,
) -> None:
    """Train policies that learn a task by acting, and test them.

    Rl2 and snail remember what they did in bandits or small decision processes; maml-rl, e-maml and promp take
    steps of a policy gradient in navigation or with carts that balance poles. What is not given comes from the
    recipe. All methods of a test, learned and classical, play the same tasks. Writes DIR with result.json, report.html, meta.safetensors and training/log.jsonl.

    Ctrl-C stops after the step, and what there is is tested; the exit code is then 130.
    """
    from automl_meta.metarl.environment import require_gymnasium

    require_gymnasium()
    given: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "schedule": schedule,
        **wholes(
            _WHERE,
            seed=(seed, 0),
            threads=(threads, 1),
            arms=(arms, 2),
            episodes=(episodes, 1),
            train_episodes=(train_episodes, 1),
            states=(states, 2),
            episode_steps=(episode_steps, 1),
            meta_batch=(meta_batch, 2),
            hidden=(hidden, 1),
            validate_every=(validate_every, 1),
            patience=(patience, 1),
            test_trials=(test_trials, 2),
            inner_steps=(inner_steps, 1),
            test_steps=(test_steps, 1),
            epochs=(epochs, 1),
        ),
        **decimals(_WHERE, learning_rate=learning_rate, inner_rate=inner_rate, clip=clip),
        **decimals(
            _WHERE,
            zero=True,
            discount=discount,
            trace=trace,
            entropy=entropy,
            divergence=divergence,
            credit=credit,
        ),
        **read_budget(budget, _WHERE),
    }
    given = {name: value for name, value in given.items() if value is not None}
    check_only(only, suite, _WHERE)
    if suite is not None:
        status = _run_suite(suite, output, only or [], given, as_json=as_json)
    else:
        from automl_meta.metarl.recipes import recipe

        status = _run_one(recipe(learner, env, **given), output, resume=resume, as_json=as_json)
    if status == "interrupted":
        raise typer.Exit(130)


def _run_one(settings: "MetaRLSettings", output: Path, *, resume: bool, as_json: bool) -> str:
    document = _trained(settings, output, resume=resume).document
    if as_json:
        from automl_meta.cli.screen import print_json

        print_json({"path": str(output), **document})
    else:
        from automl_meta.cli.summary import metarl_summary

        print(metarl_summary(document, output))
    return str(document["status"])


def _run_suite(
    suite: str, output: Path, only: list[str], given: dict[str, Any], *, as_json: bool
) -> str:
    from automl_meta.metarl.suite import load_metarl_suite, run_suite
    from automl_meta.report.metarl import suite_report

    loaded = load_metarl_suite(suite, **given)
    results = run_suite(
        loaded, output, lambda run, folder: _trained(run, folder, resume=True), only=only
    )
    page = suite_report(loaded, output, command=_command())
    shown = (output / "suite.json" if as_json else output / "report.md").read_text("utf-8")
    print(shown if as_json else f"{shown}\nThe report is in {page}")
    return str(results[-1].document["status"])


def _trained(settings: "MetaRLSettings", output: Path, *, resume: bool) -> "MetaRLResult":
    from automl_meta.cli.training_progress import following
    from automl_meta.metarl.run import run_metarl
    from automl_meta.report.metarl import metarl_report

    with following(output.name, tested="methods", shown=lambda loss: f"{-loss:.2f}") as (
        on_step,
        on_test,
    ):
        result = run_metarl(
            settings, output, resume=resume, on_step=on_step, on_test=on_test, command=_command()
        )
    metarl_report(result.path)
    return result


def _command() -> str:
    return shlex.join(["automl-meta", *sys.argv[1:]])
