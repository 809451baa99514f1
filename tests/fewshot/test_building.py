"""From settings to learners with a memory; the others are made in ``test_run``."""

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.building import make_learner
from automl_meta.fewshot.recipes import recipe

CPU = torch.device("cpu")


def made(learner, **changes):
    return make_learner(recipe(learner, **changes), 1, CPU)


def test_a_learned_embedding_of_sequences_has_both_signs():
    learner = made("mann", filters=8)
    items = torch.rand(50, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    embedded = learner.embedding(items)
    assert embedded.shape == (50, 8)
    torch.testing.assert_close(embedded.mean(0), torch.zeros(8), rtol=0, atol=1e-4)
    facts = learner.describe()
    assert (facts["embedding"], facts["execution"]) == ("learned", "folded")


def test_sequences_of_pixels_are_the_papers():
    facts = made("mann", options={"embedding": "pixels", "sharpness": 1.0}).describe()
    assert facts["embedding"] == "pixels"
    # 200 units, inputs of 400 pixels and 5 labels, 4 heads of 40
    assert facts["parameters"] == 800 * 406 + 800 * 360 + 164 * 201 + 5 * 361


def test_meta_networks_fit_their_embedding():
    learner = made("meta-networks", filters=8, ways=7, options={"units": 6})
    assert learner.head.base_hidden.shape == (6, 9)
    assert learner.head.base_output.shape == (7, 7)


def test_weights_follow_the_seed_alone():
    for name in ("mann", "meta-networks"):
        first, other = (made(name, filters=4, seed=s).init(torch.Generator()) for s in (0, 1))
        torch.manual_seed(9)
        same = made(name, filters=4).init(torch.Generator())
        assert all(torch.equal(first[leaf], same[leaf]) for leaf in first)
        assert not all(torch.equal(first[leaf], other[leaf]) for leaf in first)


@pytest.mark.parametrize(
    ("learner", "options", "message"),
    [
        ("mann", {"embedding": "words"}, r"'embedding'.*'pixels' or 'convolution'"),
        ("mann", {"slots": 2}, r"'slots'.*int >= 4"),
        ("mann", {"speed": 2}, r"'options'.*settings of MANN"),
        ("meta-networks", {"units": 0}, r"'units'.*int >= 1"),
        ("meta-networks", {"speed": 2}, r"'options'.*settings of MetaNetworks"),
    ],
)
def test_options_that_make_no_sense_are_refused(learner, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        made(learner, options=options)
