import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.recipes import recipe
from automl_meta.fewshot.settings import LEARNERS


@pytest.mark.parametrize("learner", [name for name in LEARNERS if name != "prompts"])
@pytest.mark.parametrize(("ways", "shots"), [(5, 1), (5, 5), (20, 1), (20, 5)])
def test_every_recipe_is_valid_and_fits_omniglot(learner, ways, shots):
    settings = recipe(learner, ways=ways, shots=shots)
    # 20 drawings of a character are all there is
    assert (settings.train_shots or settings.shots) + settings.queries <= 20
    assert settings.shots + settings.test_queries <= 20
    assert settings.training.steps == 5000
    assert settings.transductive


def test_the_papers_numbers():
    five, twenty = recipe("maml"), recipe("maml", ways=20)
    assert (five.inner_rate, five.inner_steps, five.meta_batch, five.test_steps) == (0.4, 1, 16, 3)
    assert (twenty.inner_rate, twenty.inner_steps, twenty.meta_batch) == (0.1, 5, 16)
    reptile = recipe("reptile")
    assert (reptile.train_shots, reptile.inner_steps, reptile.inner_rate) == (10, 5, 1e-3)
    assert (reptile.inner_batch, reptile.test_inner_batch, reptile.test_steps) == (10, 5, 50)
    assert (reptile.training.optimizer, reptile.training.schedule) == ("sgd", "linear")
    assert recipe("protonet", ways=5).train_ways == 20
    assert recipe("meta-sgd").inner_rate == 0.4
    assert recipe("snail", ways=20).train_ways is None
    mann = recipe("mann", shots=5)
    assert (mann.train_shots + mann.queries, mann.meta_batch, mann.image_size) == (10, 16, 20)


def test_changes_go_where_they_belong():
    settings = recipe(
        "maml", learning_rate=0.5, filters=7, options={"x": 1}, patience=3, test_steps=9
    )
    assert (settings.training.learning_rate, settings.training.patience) == (0.5, 3)
    assert (settings.filters, settings.options, settings.test_steps) == (7, {"x": 1}, 9)


def test_a_time_replaces_the_steps():
    assert recipe("maml", seconds=60).training.steps is None
    both = recipe("maml", seconds=60, steps=7).training
    assert (both.steps, both.seconds) == (7, 60)


def test_regression():
    settings = recipe("maml", "sinusoid", shots=10)
    assert settings.is_regression
    assert settings.filters == 40
    with pytest.raises(InvalidParameterError, match="a method for regression"):
        recipe("protonet", "sinusoid")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learner": "mamba"}, "'learner'.*one of maml, fomaml"),
        ({"ways": 1}, "'ways'.*int >= 2"),
        ({"shots": 0}, "'shots'.*int >= 1"),
        ({"colour": 3}, "'colour'"),
        ({"training": 3}, "'training'"),
        ({"threads": 0}, "'threads'"),
        ({"test_steps": -1}, "'test_steps'"),
        ({"pooling": "mean"}, "'pooling'.*stride"),
        ({"device": "tpu"}, "'device'"),
        ({"precision": "fp8"}, "'precision'"),
        ({"execution": "magic"}, "'execution'"),
        ({"split": "random"}, "'split'"),
        ({"learning_rate": -1.0}, "'learning_rate'"),
        ({"learner": "reptile", "optimizer": "adam"}, "'optimizer'.*sgd without momentum"),
        ({"learner": "reptile", "momentum": 0.9}, "'optimizer'.*momentum 0.9"),
        ({"learner": "reptile", "weight_decay": 0.1}, "'optimizer'.*decay 0.1"),
        ({"learner": "mann", "train_ways": 20}, "'train_ways'.*the ways of the test, 5, for mann"),
        ({"learner": "mann", "data": "sinusoid"}, "'learner'.*a method for regression"),
        ({"learner": "anil", "recompute": True}, "'recompute'.*maml, meta-sgd"),
        (
            {"learner": "snail", "train_ways": 20},
            "'train_ways'.*the ways of the test, 5, for snail",
        ),
    ],
    ids=str,
)
def test_bad_settings_are_refused_by_name(wrong, message):
    with pytest.raises(InvalidParameterError, match=message):
        recipe(**({"learner": "maml"} | wrong))
