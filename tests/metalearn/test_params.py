import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import expand, join_meta, module_params, split_meta


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


def test_join_refuses_rates_of_other_shapes():
    with pytest.raises(InvalidParameterError, match="one rate per weight"):
        join_meta({"a": torch.ones(2)}, {"a": torch.tensor(0.1)})
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
