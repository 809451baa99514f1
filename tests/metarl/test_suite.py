import pytest

from automl_meta.metarl.suite import load_metarl_suite


@pytest.mark.parametrize(("name", "n_runs"), [("bandits", 10), ("mdps", 1), ("navigation", 5)])
def test_suites_that_ship_can_be_read(name, n_runs):
    suite = load_metarl_suite(name, seed=3)
    assert len(suite.runs) == n_runs
    assert {settings.seed for settings in suite.runs.values()} == {3}


def test_the_learners_of_navigation():
    runs = load_metarl_suite("navigation").runs
    assert {settings.learner for settings in runs.values()} == {"maml-rl", "e-maml", "promp"}
    assert runs["promp-3-steps"].adaptation.inner_steps == 3
    assert runs["promp"].training.steps == 400
