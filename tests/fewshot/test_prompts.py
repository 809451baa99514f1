import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.building import make_learner
from automl_meta.fewshot.learners import GradientLearner
from automl_meta.fewshot.prompts import PromptedTransformer
from automl_meta.fewshot.recipes import recipe
from automl_meta.fewshot.regression import Sinusoids
from automl_meta.metalearn import ContextAdaptation
from automl_meta.metalearn.losses import mean_squared_error


def network(**options):
    sizes = {"prompts": 3, "width": 8, "heads": 2, "blocks": 1} | options
    return PromptedTransformer(1, generator=torch.Generator().manual_seed(0), **sizes)


def learner_of(module, rate=0.5, steps=2):
    algorithm = ContextAdaptation(rate, steps, context="prompts", learned_start=True)
    return GradientLearner(algorithm, module, loss=mean_squared_error)


def waves(n_tasks=4, seed=0):
    return Sinusoids(5, 6).sample(n_tasks, torch.Generator().manual_seed(seed))


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    first = network().state_dict()
    torch.manual_seed(2)
    second = network().state_dict()
    assert all(torch.equal(leaf, second[name]) for name, leaf in first.items())


def test_an_item_knows_nothing_of_the_others():
    module = network().double()
    x = torch.randn(5, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = module(x)
    alone = torch.cat([module(item.unsqueeze(0)) for item in x])
    torch.testing.assert_close(together, alone)


def test_the_order_of_the_prompts_does_not_matter_but_they_do():
    module, x = network().double(), torch.ones(1, 1, dtype=torch.float64)
    before = module(x)
    with torch.no_grad():
        module.prompts.copy_(module.prompts[[2, 0, 1]])
        torch.testing.assert_close(module(x), before)
        module.prompts[0, 0] += 3  # the mean of a vector is normalised away
    assert (module(x) - before).abs().max() > 1e-4


def test_only_the_prompts_adapt_and_the_gradient_equals_central_differences():
    module = network().double()
    learner, episodes = learner_of(module), waves()
    episodes = type(episodes)(
        *(part.double() for part in (episodes.support_x, episodes.support_y)),
        *(part.double() for part in (episodes.query_x, episodes.query_y)),
        None,
    )
    meta = learner.init(torch.Generator())
    loss, grads = learner.meta_gradients(meta, episodes, 0.0)

    def value(changed):
        outputs = learner.predict(changed, episodes)
        return mean_squared_error(outputs, episodes.query_y).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1)).to(leaf)
        up, down = (value(meta | {name: leaf + s * 1e-6 * direction}) for s in (1, -1))
        slope = (grads[name] * direction).sum().item()
        assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-7), name


def test_prompts_learn_what_a_fixed_network_cannot():
    learner = learner_of(network(width=16, blocks=2), rate=1.0, steps=1)
    meta, unseen = learner.init(torch.Generator()), waves(64, seed=99)

    def error(steps):
        outputs = learner.predict(meta, unseen, steps=steps)
        return mean_squared_error(outputs, unseen.query_y).mean().item()

    moments = {name: torch.zeros_like(leaf) for name, leaf in meta.items()}
    for step in range(150):
        _, grads = learner.meta_gradients(meta, waves(16, seed=step), 0.0)
        moments = {n: 0.9 * moments[n] + grads[n].sign() for n in meta}
        meta = {n: leaf - 1e-3 * moments[n] for n, leaf in meta.items()}
    assert error(1) < 0.8 * error(0)


@pytest.mark.parametrize(
    ("sizes", "name"),
    [({"prompts": 0}, "prompts"), ({"width": 9}, "width"), ({"heads": 0}, "heads")],
)
def test_sizes_that_make_no_network_are_refused(sizes, name):
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of PromptedTransformer"):
        network(**sizes)


def test_the_recipe_makes_it_for_functions_and_refuses_pictures():
    settings = recipe("prompts", "sinusoid", options={"size": 4})
    learner = make_learner(settings, 1, torch.device("cpu"))
    facts = learner.describe()
    assert facts["settings"]["context"] == "prompts"
    assert facts["settings"]["learned_start"] is True
    assert learner.init(torch.Generator())["weights.prompts"].shape == (4, 40)
    with pytest.raises(InvalidParameterError, match="Try cavia"):
        recipe("prompts", "omniglot")
    with pytest.raises(InvalidParameterError, match="'size' parameter of fewshot"):
        make_learner(recipe("prompts", "sinusoid", options={"size": 0}), 1, torch.device("cpu"))
