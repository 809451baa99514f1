import math
import statistics

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.evaluate import Evaluation, evaluate, score


class Coins:
    """Two-way episodes whose query holds its own labels, so that a learner may be right at will."""

    def sample(self, n_tasks, generator):
        labels = torch.randint(2, (n_tasks, 10), generator=generator)
        support = torch.tensor([0, 1]).expand(n_tasks, -1)
        return Episodes(support.float(), support, labels.float(), labels, 2)


class Reader:
    """Reads the labels, and errs on the first ``wrong`` items of each episode."""

    def __init__(self, wrong=0):
        self.wrong, self.seen = wrong, []

    def predict(self, meta, episodes, *, steps=None):
        self.seen.append((len(episodes), steps))
        guess = episodes.query_x.long().clone()
        guess[:, : self.wrong] = 1 - guess[:, : self.wrong]
        return torch.nn.functional.one_hot(guess, 2).float()


def seeded():
    return torch.Generator().manual_seed(3)


def test_accuracy_and_batches():
    learner, done = Reader(wrong=3), []
    result = evaluate(
        learner,
        {},
        Coins(),
        episodes=23,
        generator=seeded(),
        batch=10,
        steps=4,
        on_batch=done.append,
    )
    assert result.metric == "accuracy"
    assert result.scores == (0.7,) * 23
    assert learner.seen == [(10, 4), (10, 4), (3, 4)]
    assert done == [10, 20, 23]
    assert result.interval95 == pytest.approx(0.0)


def test_same_generator_same_episodes():
    class First(Reader):
        def predict(self, meta, episodes, *, steps=None):
            return torch.stack([torch.ones(len(episodes), 10), torch.zeros(len(episodes), 10)], -1)

    results = [evaluate(First(), {}, Coins(), episodes=20, generator=seeded()) for _ in range(2)]
    assert results[0] == results[1]
    assert 0 < results[0].interval95 < 0.2
    assert len(set(results[0].scores)) > 2


def test_interval_is_that_of_the_textbook():
    scores = (0.9, 0.8, 1.0, 0.95)
    result = Evaluation("accuracy", scores)
    assert result.mean == pytest.approx(statistics.fmean(scores))
    assert result.interval95 == pytest.approx(1.96 * statistics.stdev(scores) / 2)
    assert math.isnan(Evaluation("accuracy", (1.0,)).interval95)


def test_squared_error_of_each_function():
    some = Episodes(*(torch.zeros(2, 3, 1) for _ in range(4)), None)
    outputs = torch.tensor([[[1.0], [2.0], [0.0]], [[0.0], [0.0], [3.0]]])
    torch.testing.assert_close(score(outputs, some), torch.tensor([5 / 3, 3.0]).double())


def test_a_function_on_which_the_inner_loop_diverges_is_infinitely_wrong():
    some = Episodes(*(torch.zeros(3, 2, 1) for _ in range(4)), None)
    outputs = torch.tensor([[1.0, 1.0], [math.nan, 0.0], [math.inf, -math.inf]]).unsqueeze(2)
    scores = score(outputs, some).tolist()
    assert scores == [1.0, math.inf, math.inf]
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        result = Evaluation("mean squared error", tuple(scores[i] for i in order))
        assert result.median == result.mean == math.inf
    assert Evaluation("mean squared error", (1.0, math.inf, 2.0)).median == 2.0


def test_bad_numbers_are_refused():
    for name in ("episodes", "batch"):
        with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of evaluate"):
            evaluate(Reader(), {}, Coins(), **({"episodes": 2, "generator": seeded()} | {name: 0}))
