"""Warm start, pruning, proposals, storage and the choice of a model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.store import write_tasks
from automl_meta.prior import (
    Collection,
    Observation,
    PrunerModel,
    load_learner,
    load_past,
    save_learner,
    save_past,
)
from automl_meta.prior.pruning import learn_pruner
from automl_meta.prior.warm_start import greedy_set, regret_matrix
from automl_meta.tasks.fingerprint import Fingerprint


def test_greedy_set_covers_tasks_and_prefixes_agree():
    regrets = np.array([[0.0, 0.9, 0.3], [0.9, 0.0, 0.3], [0.9, 0.0, 0.3]])
    assert greedy_set(regrets, 3) == [1, 0, 2]  # 0.3, then 0, then whatever is left
    assert greedy_set(regrets, 1) == greedy_set(regrets, 3)[:1]
    assert greedy_set(regrets, 9) == [1, 0, 2]
    assert greedy_set(regrets, 1, np.array([9.0, 1.0, 1.0])) == [0]


def test_regrets_are_zero_at_the_best_and_one_from_the_median_down(table):
    regrets = regret_matrix(table)
    assert regrets.shape == (8, 16)
    for row, task in zip(regrets, table.tasks, strict=True):
        shared = task.raw[:16]
        np.testing.assert_array_equal(row == 1.0, shared <= np.median(task.raw))
        assert np.argmin(row) == np.argmax(shared)


def test_warm_start_prefers_what_was_good_on_similar_tasks(learner, table):
    best_for = {}
    for extreme in (np.argmin, np.argmax):
        index = int(extreme([t.record.meta_features["shift"] for t in table.tasks]))
        features = table.tasks[index].record.meta_features
        best_for[index] = learner.portfolio.best(1, features)[0]
        assert best_for[index]["kind"] == "good"
    assert len(learner.portfolio.best(50)) == 16
    assert learner.portfolio.best(2, {"unknown": 1.0}) == learner.portfolio.best(2)
    assert learner.portfolio.best(2, {"shift": float("nan")}) == learner.portfolio.best(2)


def test_a_search_with_the_prior_finds_what_a_random_one_does_not(learner, table, toy_score):
    prior = learner.prior("all")
    for shift in (-0.8, 0.8):
        rng = np.random.default_rng(0)
        trials = [Observation(c, toy_score(c, shift)) for c in prior.warm_start(2)]
        while len(trials) < 20:
            configuration = prior.propose(trials, [], rng)
            trials.append(Observation(configuration, toy_score(configuration, shift)))
        ours = max(t.score for t in trials)
        rivals = [
            max(toy_score(c, shift) for c in table.space.sample(np.random.default_rng(s), 20))
            for s in range(20)
        ]
        assert ours > np.quantile(rivals, 0.9)


def test_proposals_survive_failures_pending_trials_ties_and_many_trials(learner, table, toy_score):
    prior = learner.prior("all")
    rng = np.random.default_rng(0)
    configurations = table.space.sample(rng, 300)
    cases = [
        ([], []),
        ([Observation(configurations[0], None)], configurations[1:3]),
        ([Observation(c, None) for c in configurations[:10]], []),
        ([Observation(c, 1.0) for c in configurations[:9]], configurations[9:12]),
        ([Observation(configurations[0], 1.0)] * 12, []),
        ([Observation(c, toy_score(c, 0.0)) for c in configurations], configurations[:2]),
    ]
    for observed, pending in cases:
        proposed = prior.propose(observed, pending, rng)
        assert table.space.validate(proposed) == proposed


def test_parallel_proposals_differ(learner, toy_score):
    prior = learner.prior("all")
    trials = [Observation(c, toy_score(c, 0.0)) for c in prior.warm_start(4)]
    first = prior.propose(trials, [], np.random.default_rng(0))
    second = prior.propose(trials, [first], np.random.default_rng(0))
    assert first != second


def test_same_generator_same_proposal(learner, toy_score):
    prior = learner.prior("all")
    trials = [Observation(c, toy_score(c, 0.0)) for c in prior.warm_start(4)]
    a, b = (prior.propose(trials, [], np.random.default_rng(7)) for _ in range(2))
    assert a == b


@pytest.mark.parametrize("n_before", [0, 3, 5])
def test_what_was_read_before_does_not_change_a_proposal(learner, toy_score, n_before):
    """Earlier trials are not encoded anew; others in their place must not pass for them."""
    prior = replace(learner.prior("all"))
    trials = [
        Observation(c, toy_score(c, 0)) for c in prior.space.sample(np.random.default_rng(0), 6)
    ]
    others = list(reversed(trials))

    def proposed(by, observed):
        return by.propose(observed, [], np.random.default_rng(1))

    proposed(prior, trials[:n_before])
    for observed in (trials, others, trials[1:]):
        assert proposed(prior, observed) == proposed(replace(prior), observed)


def test_pruner_learns_a_bound_that_rarely_stops_the_best(table):
    model = learn_pruner([task.folds for task in table.tasks])
    assert model.n_tasks == 8
    assert 1.0 < model.quantile < 10.0
    rng = np.random.default_rng(1)
    lost = stopped = 0
    for _ in range(200):
        quality = rng.normal(size=12)
        scores = quality[:, None] + rng.normal(size=(12, 5))
        best = int(scores.mean(1).argmax())
        finished = []
        for trial in range(12):
            if model.should_prune(scores[trial, :3], 5, finished):
                stopped += 1
                lost += trial == best
            else:
                finished.append(scores[trial])
    assert stopped > 200
    assert lost < 0.02 * 200 + 3


@pytest.mark.parametrize(
    ("seen", "finished", "n_tasks"),
    [([0.0] * 2, 5, 9), ([0.0] * 5, 5, 9), ([0.0] * 3, 1, 9), ([0.0] * 3, 5, 0)],
    ids=["before the third fold", "after the last", "one finished trial", "no past"],
)
def test_pruner_never_prunes(seen, finished, n_tasks):
    rng = np.random.default_rng(0)
    past = [list(100.0 + rng.normal(size=5)) for _ in range(finished)]
    assert PrunerModel(3.0, 9).should_prune([0.0] * 3, 5, [*past, past[0]])
    assert not PrunerModel(3.0, n_tasks).should_prune(seen, 5, past)


def test_stored_learners_propose_the_same(learner, tmp_path, toy_score):
    save_learner(learner, tmp_path / "a")
    stored = load_learner(tmp_path / "a")
    save_learner(stored, tmp_path / "b")
    again = load_learner(tmp_path / "b")
    trials = [Observation(c, toy_score(c, 0.1)) for c in learner.prior().warm_start(3)]
    for model in ("all", "fold-1"):
        first, *others = (
            x.prior(model).propose(trials, [], np.random.default_rng(0))
            for x in (learner, stored, again)
        )
        assert others[0] == others[1]
        # Half precision on disk: a little beside what was trained.
        assert abs(first["x"] - others[0]["x"]) < 0.05
    assert again.tasks == learner.tasks
    assert again.prior("fold-1").facts["n_tasks"] == 4
    with pytest.raises(InvalidParameterError, match="one of all, fold-0, fold-1"):
        again.prior("fold-7")


def test_a_fold_model_knows_nothing_of_its_fold(learner):
    prior = learner.prior("fold-0")
    assert len(prior.portfolio.regrets) == 4
    np.testing.assert_array_equal(prior.portfolio.regrets, learner.portfolio.regrets[1::2])


def test_damaged_learners_are_named(learner, tmp_path):
    save_learner(learner, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    weights = tmp_path / "all.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(StoreError, match=r"all\.safetensors"):
        load_learner(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))
    with pytest.raises(StoreError, match="schema 99"):
        load_learner(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="No meta-learner"):
        load_learner(tmp_path)


def test_collection_leaves_out_what_it_was_trained_on(learner, table, tmp_path):
    save_learner(learner, tmp_path / learner.name)
    write_tasks(tmp_path, [t.record for t in table.tasks])
    collection = Collection(tmp_path)
    stored = collection.learner(table.space)
    known = collection.choose(stored, table.tasks[3].record.fingerprint)
    assert known.model == "fold-1"
    assert "task 3" in known.reason
    new = Fingerprint(5000, 3, (0.2, 0.2, 0.2, 0, 0), ((0.0,) * 7,))
    assert collection.choose(stored, new).model == "all"
    with pytest.raises(StoreError, match="was trained on version 1"):
        collection.learner(_changed(table.space))
    with pytest.raises(StoreError, match="No meta-learners"):
        Collection(tmp_path / "nothing")


def test_a_copy_never_goes_unseen_where_fingerprints_do_not_fit(learner, table, tmp_path):
    save_learner(learner, tmp_path / learner.name)
    records = [t.record for t in table.tasks]
    changed = replace(records[3], fingerprint=replace(records[3].fingerprint, n_rows=7))
    stored = load_learner(tmp_path / learner.name)
    new = Fingerprint(5000, 3, (0.2, 0.2, 0.2, 0, 0), ((0.0,) * 7,))
    for wrong in ([*records[:3], *records[4:]], [*records[:3], changed, *records[4:]]):
        write_tasks(tmp_path, wrong)
        for fingerprint in (records[3].fingerprint, new):
            with pytest.raises(
                StoreError, match=r"task 3 missing or changed \(1 of 8 tasks\).*none"
            ):
                Collection(tmp_path).choose(stored, fingerprint)
    write_tasks(tmp_path, [*records, replace(changed, title="of another learner")])
    assert Collection(tmp_path).choose(stored, records[3].fingerprint).model == "fold-1"


GARBLED = {
    "no digests": {"sha256": None},
    "no table's digest": {"sha256": {}},
    "algorithm in words": {"algorithm": "MetaSGD"},
    "unknown algorithm": {"algorithm": {"name": "Adam"}},
    "rate below zero": {"algorithm": {"name": "MetaSGD", "initial_rate": -1.0, "steps": 1}},
    "pruners in a list": {"pruners": [1]},
    "no model of all": {"pruners": {}},
    "space in words": {"space": "toy"},
    "unknown distribution": {
        "space": {"name": "a", "version": 1, "distributions": {"x": {"name": "?"}}}
    },
    "version in words": {"space": {"name": "a", "version": "one"}},
    "tasks without folds": {"tasks": [{"title": "a"}]},
    "no facts": {"facts": ...},
    "a task less": {"tasks": []},
    "a configuration less": {"configurations": []},
    "a feature less": {"feature_names": ["shift"]},
}


@pytest.mark.parametrize("case", GARBLED)
def test_garbled_manifests_are_named(case, learner, tmp_path):
    save_learner(learner, tmp_path)
    path = tmp_path / "manifest.json"
    manifest = {**json.loads(path.read_text()), **GARBLED[case]}
    path.write_text(json.dumps({k: v for k, v in manifest.items() if v is not ...}))
    with pytest.raises(StoreError, match=r"again\.$"):
        load_learner(tmp_path)


def test_a_learner_saved_by_half_keeps_its_old_manifest_and_is_refused(
    learner, tmp_path, monkeypatch
):
    save_learner(learner, tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    real = Path.write_text

    def break_off(self, text, **options):
        real(self, text[:20], **options)
        raise KeyboardInterrupt

    changed = {
        name: replace(m, meta={n: v + 1.0 for n, v in m.meta.items()})
        for name, m in learner.models.items()
    }
    monkeypatch.setattr(Path, "write_text", break_off)
    with pytest.raises(KeyboardInterrupt):
        save_learner(replace(learner, models=changed), tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == before
    with pytest.raises(StoreError, match="not the file that its manifest names"):
        load_learner(tmp_path)


def _changed(space):
    from optuna.distributions import FloatDistribution

    return space.narrow(x=FloatDistribution(0.0, 0.5))


def test_a_narrowed_space_is_searched_for_its_own_best_point(learner, toy_score):
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    prior = learner.prior("all")
    narrow = prior.space.narrow(
        kind=CategoricalDistribution(["bad"]), x=FloatDistribution(0.2, 0.5)
    )
    trials = [Observation(c, toy_score(c, 0.0)) for c in prior.warm_start(5)]
    proposals = [
        prior.propose(trials, [], np.random.default_rng(seed), space=narrow) for seed in range(4)
    ]
    for proposal in proposals:
        assert narrow.validate(proposal) == proposal
    assert len({p["x"] for p in proposals}) > 1  # chosen, not the middle of the range
    wide = prior.propose(trials, [], np.random.default_rng(0))
    assert prior.propose(trials, [], np.random.default_rng(0), space=prior.space) == wide


def test_warm_starts_of_a_narrowed_space_are_learned_ones_and_as_many_as_possible(learner):
    from optuna.distributions import CategoricalDistribution

    prior = learner.prior("all")
    narrow = prior.space.narrow(kind=CategoricalDistribution(["bad"]))
    bad = [c for c in prior.portfolio.configurations if c["kind"] == "bad"]
    starts = prior.warm_start(3, space=narrow)
    assert len(starts) == 3
    assert all(c in bad for c in starts)
    assert len(prior.warm_start(99, space=narrow)) == len(bad)
    none = prior.space.narrow(kind=CategoricalDistribution(["other", "bad"])).narrow(
        kind=CategoricalDistribution(["other"])
    )
    assert prior.warm_start(3, space=none) == []


def test_one_model_of_a_learner_can_be_stored_alone(learner, tmp_path):
    prior = learner.prior("fold-0")
    save_past(prior, tmp_path)
    again = load_past(tmp_path)
    assert (again.pruner, again.proven_until, again.n_start) == (
        prior.pruner,
        prior.proven_until,
        prior.n_start,
    )


def test_threads_share_the_limit_of_blas_threads():
    from threadpoolctl import threadpool_info

    from automl_meta.prior.prior import _one_thread

    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    with _one_thread:
        with _one_thread:
            assert set(threads()) <= {1}
        assert set(threads()) <= {1}
    assert threads() == before
