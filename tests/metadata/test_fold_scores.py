import numpy as np
import pytest
from optuna.trial import TrialState, create_trial

from automl_meta.metadata.fold_scores import fold_scores, reports_of

FOLDS = [0.4, 0.6, 0.5, 0.7, 0.8]


def trial(reports, value=None, first=0, state=TrialState.COMPLETE):
    """A trial whose value is the mean of its reports, unless another is given."""
    value = float(np.mean(reports)) if value is None else value
    steps = dict(enumerate(reports, start=first))
    complete = state == TrialState.COMPLETE
    return create_trial(state=state, value=value if complete else None, intermediate_values=steps)


def curves(n):
    return [trial(FOLDS, value=FOLDS[-1]) for _ in range(n)]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_reports_whose_mean_is_the_value_are_folds(first, sign):
    found = fold_scores([trial(FOLDS, first=first), trial(FOLDS[::-1], first=first)], sign)
    assert found.tolist() == (sign * np.array([FOLDS, FOLDS[::-1]])).tolist()


def test_a_mean_in_single_precision_is_a_mean():
    assert len(fold_scores([trial(FOLDS, value=float(np.mean(np.float32(FOLDS))))], 1.0)) == 1


@pytest.mark.parametrize(
    "other",
    [
        trial(FOLDS, value=FOLDS[-1]),
        trial(FOLDS, value=max(FOLDS)),
        trial(np.cumsum(FOLDS) / np.arange(1, 6), value=float(np.mean(FOLDS))),
        trial(FOLDS, first=2),
        trial(FOLDS[:3]),
        trial([], value=0.5),
        create_trial(value=0.6, intermediate_values={0: 0.4, 1: 0.6, 2: 0.5, 3: 0.7, 5: 0.8}),
        trial([0.4, 0.6, float("nan"), 0.7], value=0.5),
        trial([0.4, 0.6, float("inf"), 0.7], value=1e308),
        trial([0.5] * 5),
    ],
    ids=[
        "last value",
        "best value",
        "running mean",
        "from step 2",
        "three folds",
        "no reports",
        "a gap",
        "undefined",
        "infinite",
        "all the same",
    ],
)
def test_anything_else_tells_nothing_of_folds(other):
    assert fold_scores([other] * 12, 1.0).shape == (0, 0)


def test_most_trials_decide_and_the_others_are_left_out():
    few, many = curves(2), [trial(FOLDS)] * 3
    assert fold_scores([*few, *many], 1.0).shape == (3, 5)
    assert fold_scores([*curves(3), *many], 1.0).shape == (0, 0)
    assert fold_scores([*many, trial(FOLDS[:4]), trial([], value=0.5)], 1.0).shape == (3, 5)


def test_only_complete_trials_count():
    pruned = [trial(FOLDS[:3], state=TrialState.PRUNED)] * 5
    failed = [trial(FOLDS, state=TrialState.FAIL)] * 5
    assert fold_scores([*pruned, *failed, trial(FOLDS)], 1.0).shape == (1, 5)


def test_trials_of_equal_reports_follow_the_others():
    same = [trial([0.5] * 5)] * 9
    assert fold_scores([*same, trial(FOLDS)], 1.0).shape == (10, 5)
    assert fold_scores([*same, *curves(2)], 1.0).shape == (0, 0)


def test_reports_come_in_the_order_of_their_steps():
    made = create_trial(value=0.5, intermediate_values={3: 0.3, 1: 0.1, 2: 0.2})
    assert reports_of(made) == (1, [0.1, 0.2, 0.3])
    assert reports_of(create_trial(value=0.5)) == (0, [])
