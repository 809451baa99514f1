from pathlib import Path

import optuna
import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import get_family
from automl_meta.runs.searcher import SearchRequest, make_searcher
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
