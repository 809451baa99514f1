import numpy as np
import pytest
from sklearn.metrics import get_scorer_names

from automl_meta.exceptions import InvalidParameterError
from automl_meta.tasks.metrics import check_metric, metric_problem, openml_metric


def test_every_scorer_is_accepted_for_one_problem_or_refused():
    accepted = {"classification": 0, "regression": 0}
    for name in get_scorer_names():
        try:
            accepted[metric_problem(name)] += 1
        except InvalidParameterError:
            assert name.endswith(("_score", "_samples"))
    assert accepted["regression"] >= 12
    assert accepted["classification"] >= 20


@pytest.mark.parametrize(
    ("metric", "kind", "scorer"),
    [
        ("roc_auc", "binary", "roc_auc"),
        ("roc_auc", "multiclass", "roc_auc_ovr"),
        ("roc_auc_ovr", "binary", "roc_auc"),
        ("f1", "multiclass", "f1_macro"),
        ("r2", "regression", "r2"),
    ],
)
def test_a_metric_fits_its_kind(metric, kind, scorer):
    assert check_metric(metric, kind)[0] == scorer


@pytest.mark.parametrize(
    ("metric", "kind", "text"),
    [
        ("r2", "binary", "scorer for binary"),
        ("accuracy", "regression", "Try --metric neg_root_mean_squared_error"),
        ("positive_likelihood_ratio", "multiclass", "more than two classes"),
        ("top_k_accuracy", "binary", "two classes"),
        ("acuracy", "binary", "Try --metric accuracy"),
        ("rand_score", "binary", "scorer name"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(metric, kind, text):
    with pytest.raises(InvalidParameterError, match=text):
        check_metric(metric, kind)


def test_logarithmic_errors_need_positive_targets():
    with pytest.raises(InvalidParameterError, match="at least 0"):
        check_metric("neg_mean_squared_log_error", "regression", np.array([-1.0, 2.0]))
    with pytest.raises(InvalidParameterError, match="greater than 0"):
        check_metric("neg_mean_gamma_deviance", "regression", np.array([0.0, 2.0]))
    assert check_metric("neg_mean_poisson_deviance", "regression", np.array([0.0, 2.0]))


def test_openml_measures_map_to_real_scorers():
    for measure, kind in [
        ("predictive_accuracy", "binary"),
        ("area_under_roc_curve", "multiclass"),
        ("root_mean_squared_error", "regression"),
        ("f_measure", "multiclass"),
        ("", "multiclass"),
        ("build_cpu_time", "regression"),
    ]:
        scorer, source = openml_metric(measure, kind)
        assert scorer in get_scorer_names()
        assert ("default" in source) == (measure in {"", "build_cpu_time"})
    assert openml_metric("area_under_roc_curve", "multiclass")[0] == "roc_auc_ovr"
