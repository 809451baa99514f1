import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.past import past_task
from automl_meta.pipelines import get_family
from automl_meta.prior import Collection
from automl_meta.runs.searcher import SearchRequest, make_searcher
from automl_meta.search import MetaLearner, MetaSampler
from automl_meta.spaces import SearchSpace
from automl_meta.tasks.task import Task


def request(task: Task, prior: str) -> SearchRequest:
    family = get_family("knn")
    space = family.space("classification")
    return SearchRequest(prior, task, family, space, seed=1, trials=5, folds=5)


def test_no_prior_is_plain_tpe_and_says_so(task: Task) -> None:
    searcher = make_searcher(request(task, "none"))
    assert isinstance(searcher.sampler, optuna.samplers.TPESampler)
    assert searcher.warm_start == ()
    assert not searcher.prior.used
    assert "TPE" in searcher.prior.reason


def test_plain_origins_are_random_then_tpe(task: Task) -> None:
    searcher = make_searcher(request(task, "none"))
    study = optuna.create_study(direction="maximize", sampler=searcher.sampler)
    for _ in range(10):
        assert searcher.origin(study) == "random"
        study.tell(study.ask(), 0.5)
    assert searcher.origin(study) == "tpe"


def test_a_prior_that_is_nowhere_is_refused(task: Task, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="'prior'"):
        make_searcher(request(task, str(tmp_path / "nothing")))


def test_a_space_without_a_learned_parameter_falls_back_and_says_why(task: Task) -> None:
    asked = request(task, "default")
    space = SearchSpace("mine", 1, {"other": FloatDistribution(0.0, 1.0)})
    searcher = make_searcher(dataclasses.replace(asked, space=space))
    assert isinstance(searcher.sampler, optuna.samplers.TPESampler)
    assert not searcher.prior.used
    assert "mine shares no parameter" in searcher.prior.reason


def test_a_resumed_tpe_draws_other_configurations(task: Task) -> None:
    asked = request(task, "none")

    def first_draw(asked: SearchRequest) -> dict[str, Any]:
        study = optuna.create_study(sampler=make_searcher(asked).sampler)
        return asked.space.suggest(study.ask())

    assert first_draw(asked) == first_draw(asked)
    assert first_draw(asked) != first_draw(dataclasses.replace(asked, earlier=3))


def test_a_narrowed_auto_starts_from_learned_configurations_only(task: Task) -> None:
    family = get_family("auto")
    space = family.space("classification").narrow(family=CategoricalDistribution(["linear", "knn"]))
    asked = SearchRequest("default", task, family, space, seed=1, trials=5, folds=5)
    searcher = make_searcher(asked)
    assert searcher.prior.used
    learner = Collection().learner(family.space("classification"))
    assert learner is not None
    learned = [c for c in learner.portfolio.configurations if c["family"] in {"linear", "knn"}]
    assert len(searcher.warm_start) == min(1, len(learned))
    assert all(start in learned for start in searcher.warm_start)


def test_a_fit_tells_a_learner_of_past_fits_its_meta_features(task: Task, tmp_path: Path) -> None:
    asked = request(task, str(tmp_path / "mine"))
    rng = np.random.default_rng(0)
    past = []
    for number in range(8):
        tried = asked.space.sample(rng, 12)
        like = number % 2 == 0
        best = 3 if like else 40
        scores = np.array([-abs(c["n_neighbors"] - best) for c in tried], dtype=np.float64)
        described = asked.features if like else {n: v + 5 for n, v in asked.features.items()}
        past.append(past_task(str(number), tried, scores, asked.space, described))
    MetaLearner.from_tasks(past, asked.space, warm_start=1).save(tmp_path / "mine")
    (start,) = make_searcher(asked).warm_start
    assert start["n_neighbors"] < 20
    assert make_searcher(asked).sampler._prior.conditioner is None


def test_a_learner_of_past_searches_serves_a_fit(task: Task, tmp_path: Path) -> None:
    asked = request(task, str(tmp_path / "mine"))
    rng = np.random.default_rng(0)
    past = []
    for number in range(3):
        tried = asked.space.sample(rng, 12)
        scores = np.array([-abs(c["n_neighbors"] - 9) for c in tried], dtype=np.float64)
        past.append(past_task(str(number), tried, scores, asked.space))
    MetaLearner.from_tasks(past, asked.space).save(tmp_path / "mine")
    searcher = make_searcher(asked)
    assert isinstance(searcher.sampler, MetaSampler)
    assert (searcher.prior.used, searcher.prior.name) == (True, "mine")
    assert searcher.prior.n_tasks == 3
    assert "learned from past searches" in searcher.prior.reason
    assert len(searcher.warm_start) == 5
    assert abs(searcher.warm_start[0]["n_neighbors"] - 9) <= 4
    other = SearchSpace("other", 1, {"x": FloatDistribution(0.0, 1.0)})
    assert not make_searcher(dataclasses.replace(asked, space=other)).prior.used
