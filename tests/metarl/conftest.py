"""Small trials that the tests of metarl share."""

import pytest
import torch
from gymnasium.spaces import Box

from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.distributions import Categorical
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


class TablePolicy:
    """One set of logits, whatever is observed."""

    def __init__(self, n_actions=2):
        self.n_actions = n_actions

    def init(self, generator):
        return {"logits": torch.zeros(self.n_actions)}

    def actions(self, params, observations):
        logits = params["logits"].unsqueeze(1)
        return Categorical(logits.expand(*observations.shape[:2], self.n_actions))

    def describe(self):
        return {}


@pytest.fixture
def table_policy():
    return TablePolicy()


class Sides:
    """A point on a line that shall go to the right, or to the left; nothing tells which."""

    task_size, horizon = 1, 3
    observation_space, action_space = Box(-9, 9, (1,)), Box(-0.1, 0.1, (1,))

    def draw(self, n_tasks, generator):
        return 1 - 2 * (torch.arange(n_tasks) % 2).float().unsqueeze(1)

    def start(self, n_episodes, generator):
        return torch.zeros(n_episodes, 1)

    def observe(self, states):
        return states

    def advance(self, tasks, states, actions):
        moved = states + actions.clamp(-0.1, 0.1)
        return (
            moved,
            (tasks * (moved - states)).squeeze(1),
            torch.zeros(len(states), dtype=torch.bool),
        )


@pytest.fixture
def sides():
    return Sides()
