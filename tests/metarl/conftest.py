"""Small trials that the tests of metarl share."""

import pytest
import torch

from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.mdps import TabularMDPs


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def rng():
    return generator()


@pytest.fixture
def make_bandits():
    return lambda n=4, arms=3, pulls=5, seed=0: BernoulliBandits(
        n, arms=arms, pulls=pulls, generator=generator(seed)
    )


@pytest.fixture
def make_mdps():
    return lambda n=4, states=3, actions=2, episodes=2, episode_steps=3, seed=0: TabularMDPs(
        n,
        states=states,
        actions=actions,
        episodes=episodes,
        episode_steps=episode_steps,
        generator=generator(seed),
    )
