"""Figures that papers published for the same tasks: mean total reward of a trial.

Each is of its authors' own test tasks and training; quoted without a copy at hand to check them.
"""

from automl_meta.metarl.settings import BANDITS, MDPS, MetaRLSettings

#: (pulls, arms) -> method -> mean total reward on Bernoulli bandits.
#: Duan et al. (2016), RL^2, arXiv:1611.02779 (rl2 and random);
#: Mishra et al. (2018), A Simple Neural Attentive Meta-Learner, arXiv:1707.03141 (snail).
_BANDITS: dict[tuple[int, int], dict[str, float]] = {
    (10, 5): {"rl2": 6.7, "snail": 6.6, "random": 5.0},
    (10, 10): {"rl2": 6.7, "snail": 6.7, "random": 5.0},
    (100, 5): {"rl2": 78.7, "snail": 79.1, "random": 49.9},
    (100, 10): {"rl2": 83.5, "snail": 83.5, "random": 49.9},
    (500, 5): {"rl2": 401.6, "snail": 408.1, "random": 249.8},
    (500, 10): {"rl2": 432.5, "snail": 432.4, "random": 249.8},
}
#: Episodes -> method -> mean total reward in processes of 10 states and 5 actions, episodes of 10 steps.
#: Duan et al. (2016), RL^2.
_MDPS: dict[int, dict[str, float]] = {
    10: {"rl2": 156.2, "random": 100.1},
    25: {"rl2": 445.7, "random": 250.2},
    50: {"rl2": 936.1, "random": 499.7},
}
_MDP_SIZE = (10, 5, 10)


def published(settings: MetaRLSettings) -> dict[str, float]:
    """Return what papers reached on the tasks of a run.

    Args:
        settings: Of the run.

    Returns:
        Method to mean total reward; empty where nothing is known.

    Example:
        >>> from automl_meta.metarl.recipes import recipe
        >>> published(recipe("rl2", "bandits", arms=5, episodes=100))["rl2"]
        78.7
    """
    if settings.env == BANDITS:
        return dict(_BANDITS.get((settings.episodes, settings.arms), {}))
    size = (settings.states, settings.arms, settings.episode_steps)
    known = settings.env == MDPS and size == _MDP_SIZE
    return dict(_MDPS.get(settings.episodes, {})) if known else {}
