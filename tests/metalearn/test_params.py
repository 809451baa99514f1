import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import StepLoss, expand, join_meta, module_params, split_meta
from automl_meta.metalearn.params import fixing


def test_join_and_split_are_inverse():
    weights = {"a": torch.ones(2), "rates.b": torch.zeros(3)}
    rates = {name: torch.full_like(leaf, 0.5) for name, leaf in weights.items()}
    meta = join_meta(weights, rates)
    assert list(meta) == ["weights.a", "weights.rates.b", "rates.a", "rates.rates.b"]
    assert split_meta(meta) == (weights, rates)


@pytest.mark.parametrize("meta", [{}, {"a": torch.ones(1)}, {"rates.a": torch.ones(1)}])
def test_split_refuses_other_names(meta):
    with pytest.raises(InvalidParameterError, match=r"Algorithm\.init"):
        split_meta(meta)


@pytest.mark.parametrize("shape", [(2, 3), (), (5, 2, 3), (5,)])
def test_join_takes_rates_per_entry_or_tensor_and_step(shape):
    assert join_meta({"a": torch.ones(2, 3)}, {"a": torch.ones(shape)})["rates.a"].shape == shape


@pytest.mark.parametrize("shape", [(3, 2), (5, 3), (1, 1, 2, 3)])
def test_join_refuses_rates_of_other_shapes(shape):
    with pytest.raises(InvalidParameterError, match="one rate per weight"):
        join_meta({"a": torch.ones(2, 3)}, {"a": torch.ones(shape)})


def test_join_refuses_rates_without_weights():
    with pytest.raises(InvalidParameterError, match="one rate per weight"):
        join_meta({"a": torch.ones(2)}, {"b": torch.ones(2)})
    with pytest.raises(InvalidParameterError, match="non-empty"):
        join_meta({})


def test_expand_shares_memory_and_adds_the_task_axis():
    leaf = torch.ones(2, 3)
    batched = expand({"a": leaf}, 4)["a"]
    assert batched.shape == (4, 2, 3)
    assert batched.data_ptr() == leaf.data_ptr()


@pytest.mark.parametrize("n_tasks", [0, -1, 1.0, True])
def test_expand_refuses_a_bad_number_of_tasks(n_tasks):
    with pytest.raises(InvalidParameterError, match="n_tasks"):
        expand({"a": torch.ones(1)}, n_tasks)


def test_module_params_are_copies():
    module = nn.Linear(2, 1)
    params = module_params(module)
    params["weight"].zero_()
    assert module.weight.abs().sum() > 0
    assert not params["weight"].requires_grad


def test_fixing_gives_the_rest_of_the_arguments():
    def loss(params):
        return params["a"] * params["b"]

    fixed = {"a": torch.tensor([3.0])}
    assert fixing(loss, fixed)({"b": torch.tensor([2.0])}).item() == 6
    by_step = fixing(StepLoss(lambda step: lambda params: loss(params) + step), fixed)
    assert by_step.at(4)({"b": torch.tensor([2.0])}).item() == 10


def test_fixing_lets_a_loss_compute_once_what_is_fixed():
    class Own:
        def __call__(self, params):
            raise AssertionError

        def fixing(self, fixed):
            return lambda params: params["b"] - fixed["a"]

    assert fixing(Own(), {"a": 1})({"b": 3}) == 2
