"""The report of one few-shot run: ``report.html`` and its figures as files of their own."""

from pathlib import Path

from automl_meta.fewshot.examples import Examples, load_examples
from automl_meta.fewshot.result import TRAINING, read_result
from automl_meta.report.fewshot_figures import (
    adapted_curves,
    appearance_curve,
    episode_picture,
    loss_curve,
    validation_curve,
)
from automl_meta.report.fewshot_view import metric_of, view
from automl_meta.report.page import render
from automl_meta.report.svg import Draw, Size, responsive, svg_text
from automl_meta.training import read_log

_HALF, _WHOLE, _NARROW = Size(5.2, 3.0), Size(7.6, 3.2), Size(4.0, 2.8, narrow=True)
_EPISODES = 2


def fewshot_report(folder: Path) -> Path:
    """Write the report of one run.

    Args:
        folder: Where ``automl-meta fewshot`` wrote; ``report.html``, ``loss.svg``, ``validation.svg`` and
            ``episode-1.svg`` in it are replaced.

    Returns:
        Path of the page, which is self-contained and needs no network.

    Raises:
        StoreError: If there is no result, or a file is damaged.
    """
    result, log, examples = read_result(folder), read_log(folder / TRAINING), load_examples(folder)
    values = view(result)
    best_step = (result["training"] or {}).get("best_step", -1)
    figures: dict[str, tuple[Size, Draw]] = {
        "loss": (_HALF, lambda size: loss_curve(log, size)),
        "validation": (
            _HALF,
            lambda size: validation_curve(log, best_step, size, metric_of(result)),
        ),
    }
    if "appearances" in result:
        figures["appearances"] = (
            _HALF,
            lambda size: appearance_curve(result["appearances"], result["settings"]["ways"], size),
        )
    if examples is not None:
        figures |= {
            f"episode-{i + 1}": (_WHOLE, _drawn(examples, i))
            for i in range(min(_EPISODES, len(examples.episodes)))
        }
    drawings = {
        name: responsive(name, wide, _NARROW, draw) for name, (wide, draw) in figures.items()
    }
    for name, (wide, draw) in figures.items():
        figure = draw(wide)
        if figure is not None:
            alone = svg_text(figure, name=name, page=False)
            (folder / f"{name}.svg").write_text(alone, encoding="utf-8")
    episodes = [drawings.pop(name) for name in sorted(drawings) if name.startswith("episode-")]
    drawings |= {f"episode_{i}": pairs for i, pairs in enumerate(episodes)}
    html = folder / "report.html"
    html.write_text(
        render("fewshot.html.j2", drawings=drawings, n_episodes=len(episodes), **values),
        encoding="utf-8",
    )
    return html


def _drawn(examples: Examples, which: int) -> Draw:
    picture = adapted_curves if examples.episodes.ways is None else episode_picture
    return lambda size: picture(examples, which, size)
