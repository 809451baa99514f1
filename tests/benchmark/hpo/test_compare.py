import itertools
import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler, TPESampler

from automl_meta.api import benchmark_hpo
from automl_meta.benchmark.hpo.compare import read_comparison, run_comparison, unit_path
from automl_meta.benchmark.hpo.definition import Definition
from automl_meta.benchmark.hpo.methods import Cold, Past
from automl_meta.benchmark.hpo.peers.portfolio import PortfolioThen, learn_portfolio
from automl_meta.benchmark.hpo.peers.proposer import most_promising
from automl_meta.benchmark.hpo.plans import HpoSettings, plans_of
from automl_meta.benchmark.hpo.problem import Problem, TableObjective
from automl_meta.benchmark.hpo.publish import restore_runs, write_hpob
from automl_meta.benchmark.hpo.registry import methods
from automl_meta.benchmark.hpo.search import Search, run_search
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.past import PastTask
from automl_meta.prior import Observation
from automl_meta.spaces import Condition, Encoder, SearchSpace

PROBLEM = "collected-regression"
RANDOM = Cold("random", lambda seed: RandomSampler(seed=seed))
SPACE = SearchSpace(
    "toy",
    1,
    {"kind": CategoricalDistribution(["a", "b"]), "x": FloatDistribution(0.0, 1.0)},
    {"x": Condition("kind", ("b",))},
)


class Spy(RandomSampler):
    """Remembers what it was told."""

    def after_trial(self, study, trial, state, values):
        self.last = study

    def told(self):
        return [(t.params, t.value) for t in self.last.trials if t.state.is_finished()]


def table(n=20):
    rows = Encoder(SPACE).sample_units(np.random.default_rng(0), n)
    return rows, np.arange(n, dtype=np.float64)


def test_the_sampler_is_told_what_was_evaluated():
    rows, scores = table()
    sampler = Spy(seed=0)
    trace = run_search(Search(sampler, SPACE), TableObjective(SPACE, rows, scores), SPACE, 20)
    assert sorted(trace.scores) == scores.tolist()  # each row once
    encoder = Encoder(SPACE)
    by_score = {s: encoder.from_units(r) for r, s in zip(rows, scores, strict=True)}
    told = sampler.told()
    assert len(told) == 20
    assert all(params == by_score[value] for params, value in told)


def test_a_flat_space_keeps_what_the_row_leaves_open():
    rows, scores = table()
    flat = SearchSpace("flat", 1, SPACE.distributions)
    sampler = Spy(seed=0)
    run_search(Search(sampler, flat), TableObjective(SPACE, rows, scores), SPACE, 10)
    assert all(set(params) == {"kind", "x"} for params, _ in sampler.told())


def test_starting_points_come_first():
    rows, scores = table()
    start = [Encoder(SPACE).from_units(rows[i]) for i in (7, 3)]
    search = Search(RandomSampler(seed=0), SPACE, start)
    trace = run_search(search, TableObjective(SPACE, rows, scores), SPACE, 5)
    assert trace.scores[:2] == [7.0, 3.0]
    assert trace.seconds[:2] == [0.0, 0.0]


def test_a_failed_trial_does_not_end_a_search():
    rows, scores = table()
    scores[:10] = np.nan
    search = Search(TPESampler(seed=0), SPACE)
    trace = run_search(search, TableObjective(SPACE, rows, scores), SPACE, 20)
    assert int(np.isnan(trace.scores).sum()) == 10


def test_workers_hold_results_back():
    states = []

    class Watch(RandomSampler):
        def before_trial(self, study, trial):
            states.append(sum(t.state == optuna.trial.TrialState.RUNNING for t in study.trials))

    rows, scores = table()
    objective = TableObjective(SPACE, rows, scores)
    run_search(Search(Watch(seed=0), SPACE), objective, SPACE, 8, workers=4)
    assert states == [1, 2, 3, 4, 4, 4, 4, 4]


def test_a_report_without_its_runs_can_be_gone_on_from(tmp_path):
    settings = HpoSettings(seeds=1, trials=4)
    page = benchmark_hpo([PROBLEM], [RANDOM], tmp_path, settings=settings)
    before = pd.read_parquet(tmp_path / "results.parquet")
    shutil.rmtree(tmp_path / "runs")
    again = HpoSettings(seeds=2, trials=4)
    ran = []
    watched = Cold("random", lambda seed: ran.append(seed) or RandomSampler(seed=seed))
    assert benchmark_hpo([PROBLEM], [watched], tmp_path, settings=again) == page
    after = pd.read_parquet(tmp_path / "results.parquet")
    assert set(ran) == {1}  # the searches with seed 0 came from the report
    pd.testing.assert_frame_equal(after[after["seed"] == 0].reset_index(drop=True), before)


def test_a_damaged_report_is_named(tmp_path):
    (tmp_path / "results.parquet").write_text("no table")
    with pytest.raises(StoreError, match="Delete the file"):
        restore_runs(load_problem(PROBLEM), [RANDOM], tmp_path)


def test_a_comparison_resumes_and_survives_a_cut_off_line(tmp_path):
    settings = HpoSettings(seeds=1, trials=4)
    run_comparison([PROBLEM], [RANDOM], tmp_path, settings)
    problem = load_problem(PROBLEM)
    path = unit_path(tmp_path, problem, RANDOM, 2)
    whole = path.read_text()
    path.write_text(whole[:-30])
    first = path.stat().st_size
    run_comparison([PROBLEM], [RANDOM], tmp_path, settings)
    assert path.stat().st_size > first
    rows = read_comparison(problem, [RANDOM], tmp_path, settings)
    assert len(rows) == 4 * len(problem.names)
    again = [json.loads(line)["scores"] for line in whole.splitlines()]
    kept = rows[rows["task"] == json.loads(whole.splitlines()[-1])["task"]]["score"].tolist()
    assert kept == again[-1]


def test_slow_methods_run_less_and_the_others_beside_them_on_their_tasks():
    problem = load_problem(PROBLEM)
    definition = problem.definition
    slow = Cold("slow", lambda seed: RandomSampler(seed=seed), slow=True)
    plans = plans_of(problem, [RANDOM, slow], HpoSettings())
    assert plans["slow"].trials == definition.slow_trials
    assert plans["slow"].seeds == definition.slow_seeds
    assert plans["random"].trials == definition.trials
    assert plans["random"].tasks == plans["slow"].tasks
    assert len(plans["slow"].tasks) == definition.slow_tasks < len(problem.names)
    alone = plans_of(problem, [RANDOM], HpoSettings())
    assert len(alone["random"].tasks) == len(problem.names)


def test_searches_made_in_another_way_are_not_mixed(tmp_path):
    settings = HpoSettings(seeds=1, trials=3)
    run_comparison([PROBLEM], [RANDOM], tmp_path, settings)
    with pytest.raises(StoreError, match="workers 1, now 4"):
        run_comparison([PROBLEM], [RANDOM], tmp_path, replace(settings, workers=4))
    problem = load_problem(PROBLEM)
    shorter = replace(problem, definition=replace(problem.definition, past=20))
    with pytest.raises(StoreError, match="past 2000, now 20"):
        run_comparison([shorter], [RANDOM], tmp_path, settings)


def mine():
    rows, _ = table(30)
    x = np.nan_to_num(rows[:, 1], nan=0.5)
    return Problem(
        Definition("mine", "a toy", "python", "closeness", table=True, trials=5, folds=3),
        SPACE,
        names=tuple("abcdef"),
        rows=(rows,) * 6,
        scores=tuple(-np.abs(x - c) for c in np.linspace(0.2, 0.8, 6)),
        groups=np.arange(6),
    )


def test_a_problem_of_ones_own_needs_no_file(tmp_path):
    page = benchmark_hpo(
        [mine()], [RANDOM, PortfolioThen("portfolio")], tmp_path, settings=HpoSettings(seeds=2)
    )
    text = page.with_suffix(".md").read_text()
    assert "6 tasks" in text
    assert "Folds: mine 3" in text
    assert "mine: 6 tasks, 2 seeds, 5 trials" in text
    assert "1 trial at once" in text


def closeness(task, configurations):
    return np.array([-abs(c.get("x", 0.5) - 0.2 - 0.1 * task) for c in configurations])


def test_a_function_of_ones_own_is_searched_alike_by_one_process_and_by_two(tmp_path):
    known = mine()
    problem = replace(known, definition=replace(known.definition, table=False), function=closeness)
    found = []
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        settings = HpoSettings(seeds=2, jobs=jobs)
        run_comparison([problem], [RANDOM], folder, settings)
        found.append(read_comparison(problem, [RANDOM], folder, settings))
    telling = ["task", "method", "seed", "trial", "score"]
    assert found[0][telling].equals(found[1][telling])
    assert len(found[0]) == 6 * 2 * 5


def test_a_part_of_a_problem_evaluates_its_own_tasks():
    known = mine()
    described = tuple({"place": float(i)} for i in range(6))
    open_one = replace(
        known,
        definition=replace(known.definition, table=False),
        function=closeness,
        features=described,
    )
    for problem in (known, open_one):
        part = problem.part(np.array([1, 4]))
        assert part.names == ("b", "e")
        for own, there in ((0, 1), (1, 4)):
            assert part.scale(own) == problem.scale(there)
            assert part.past(own).features == problem.past(there).features
            proposal = {"kind": "b", "x": 0.3}
            scores = [
                p.objective(t).evaluate(proposal)[1] for p, t in ((part, own), (problem, there))
            ]
            assert scores[0] == scores[1]
    assert open_one.objective(0).evaluate(proposal)[1] != scores[0]


def test_other_data_or_workers_are_refused_by_a_published_report_too(tmp_path):
    settings = HpoSettings(seeds=1, trials=3)
    benchmark_hpo([mine()], [RANDOM], tmp_path, settings=settings)
    other = replace(mine(), scores=tuple(2.0 * s for s in mine().scores))
    with pytest.raises(StoreError, match="data"):
        benchmark_hpo([other], [RANDOM], tmp_path, settings=settings)
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(StoreError, match="workers 1, now 2"):
        benchmark_hpo([mine()], [Best()], tmp_path, settings=replace(settings, workers=2))


def test_every_method_starts_with_several_trials_at_once():
    rows, _ = table(30)
    x = np.nan_to_num(rows[:, 1], nan=0.0)
    tasks = [PastTask(f"t{i}", rows, -((x - c) ** 2)) for i, c in enumerate((0.6, 0.65))]
    make = methods()["nearest"].learn(Past(SPACE, tasks, table=True))
    trace = run_search(make(0), TableObjective(SPACE, rows, -x), SPACE, 8, workers=8)
    assert len(trace.scores) == 8


def test_results_that_are_not_there_are_named(tmp_path):
    with pytest.raises(StoreError, match="random has no finished search"):
        read_comparison(load_problem(PROBLEM), [RANDOM], tmp_path, HpoSettings())


def test_a_portfolio_covers_tasks_of_different_taste():
    rows, _ = table(30)
    x = np.nan_to_num(rows[:, 1], nan=0.5)
    tasks = [PastTask(f"t{c}", rows, -np.abs(x - c)) for c in (0.1, 0.15, 0.9)]
    chosen = learn_portfolio(Past(SPACE, tasks), 2)
    xs = sorted(c.get("x", 0.5) for c in chosen)
    assert xs[0] < 0.3
    assert xs[1] > 0.75
    own = [PastTask(t.name, t.units[i::3], t.scores[i::3]) for i, t in enumerate(tasks)]
    assert len(learn_portfolio(Past(SPACE, own), 2)) == 2


@dataclass(frozen=True)
class Best:
    """A method written by a user: one small class."""

    name: str = "mine"
    slow: bool = False

    def learn(self, past):
        best = max(past.tasks[0].scores)
        row = int(np.argmax(past.tasks[0].scores == best))
        start = [Encoder(past.space).from_units(past.tasks[0].units[row])]
        return lambda seed: Search(RandomSampler(seed=seed), past.space, start)


class Sown(Best):
    """A method whose chance is all in its learning."""

    def learn(self, past):
        return lambda _seed: Search(RandomSampler(seed=past.seed), past.space)


def test_a_method_learns_anew_for_each_seed(tmp_path):
    settings = HpoSettings(seeds=2, trials=4)
    pair = [Sown("sown"), RANDOM]
    run_comparison([PROBLEM], pair, tmp_path, settings)
    found = read_comparison(load_problem(PROBLEM), pair, tmp_path, settings)
    tables = [
        found[found["method"] == m].set_index(["task", "seed", "trial"])["score"]
        for m in ("sown", "random")
    ]
    assert tables[0].sort_index().equals(tables[1].sort_index())
    assert not tables[0].xs(0, level="seed").equals(tables[0].xs(1, level="seed"))


def test_a_report_has_every_part(tmp_path):
    page = benchmark_hpo(
        [PROBLEM],
        [Best(), RANDOM, PortfolioThen("portfolio")],
        tmp_path,
        settings=HpoSettings(seeds=1, trials=6),
        command="automl-meta compare ...",
    )
    text = page.with_suffix(".md").read_text()
    for part in (
        "mine",
        "Normalised regret",
        "speed-up",
        "wins/ties/losses",
        "Friedman",
        "Machine",
    ):
        assert part in text
    assert "<script" not in page.read_text()
    for figure in ("regret", "rank", "differences", "tasks"):
        assert (tmp_path / f"{PROBLEM}-{figure}.svg").is_file()
    results = pd.read_parquet(tmp_path / "results.parquet")
    assert set(results["method"]) == {"mine", "random", "portfolio"}
    published = json.loads((tmp_path / "hpob" / "mine.json").read_text())
    curves = published[PROBLEM][load_problem(PROBLEM).names[0]]["test0"]
    assert len(curves) == 6
    assert all(b >= a for a, b in itertools.pairwise(curves))


def test_published_curves_of_a_problem_are_those_of_its_last_report(tmp_path):
    table = pd.DataFrame(
        {"method": "new", "task": "a", "seed": 0, "trial": [0, 1], "score": [0.5, 0.75]}
    )
    scales = {"a": (0.0, 1.0)}
    old = table.assign(method="old")
    write_hpob("one", old, scales, tmp_path)
    write_hpob("two", old.assign(method="both"), scales, tmp_path)
    write_hpob("two", pd.concat([old, table]), scales, tmp_path)
    write_hpob("one", table, scales, tmp_path)
    published = {path.stem: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    curves = {"a": {"test0": [0.5, 0.75]}}  # as HPO-B calls its seeds
    assert published == {"old": {"two": curves}, "new": {"one": curves, "two": curves}}
    (tmp_path / "old.json").write_text("[1")
    with pytest.raises(StoreError, match=r"old\.json are damaged"):
        write_hpob("one", table, scales, tmp_path)
    assert json.loads((tmp_path / "new.json").read_text()) == published["new"]


def test_nothing_to_compare_is_refused(tmp_path):
    with pytest.raises(InvalidParameterError, match="'methods' parameter of compare"):
        benchmark_hpo([PROBLEM], [], tmp_path)
    with pytest.raises(InvalidParameterError, match="'problems' parameter of compare"):
        benchmark_hpo([], [RANDOM], tmp_path)


@pytest.mark.parametrize("name", ["automl-meta", "nearest", "rgpe", "gp", "portfolio+tpe"])
def test_methods_search_a_toy_problem_better_than_at_random(name):
    rng = np.random.default_rng(1)
    rows = Encoder(SPACE).sample_units(rng, 60)
    x = np.nan_to_num(rows[:, 1], nan=0.0)
    tasks = [PastTask(f"t{i}", rows, -((x - c) ** 2)) for i, c in enumerate((0.6, 0.65, 0.7, 0.75))]
    make = methods()[name].learn(Past(SPACE, tasks))
    scores = -((x - 0.68) ** 2)
    trace = run_search(make(0), TableObjective(SPACE, rows, scores), SPACE, 14)
    assert max(trace.scores) >= np.sort(scores)[-3]


def test_on_a_table_model_based_peers_choose_among_past_settings():
    rows, scores = table()
    tasks = [PastTask("a", rows[:12], scores[:12]), PastTask("b", rows[8:], scores[8:])]
    encoder = Encoder(SPACE)
    asked = []

    def value(x, told, new, rng):
        asked.append(new)
        return np.arange(len(new), dtype=np.float64)

    choose = most_promising(encoder, value, Past(SPACE, tasks, table=True))
    seen = [Observation(encoder.from_units(rows[i]), float(i)) for i in (3, 15)]
    chosen = encoder.encode([choose(seen, np.random.default_rng(0))])
    left = encoder.expand(np.delete(rows, [3, 15], axis=0))
    assert {tuple(row) for row in asked[0].round(6)} == {tuple(row) for row in left.round(6)}
    assert np.isclose(chosen, left).all(axis=1).any()


@pytest.mark.filterwarnings("ignore")  # its own, of pandas
@pytest.mark.parametrize("name", ["zero-shot", "bounding-box", "quantile"])
def test_syne_tunes_methods_propose_what_the_space_holds(name):
    pytest.importorskip("syne_tune")
    rows, _ = table(40)
    x = np.nan_to_num(rows[:, 1], nan=0.0)
    tasks = [PastTask(f"t{i}", rows, -((x - c) ** 2)) for i, c in enumerate((0.6, 0.65, 0.7))]
    make = methods()[name].learn(Past(SPACE, tasks, table=True))
    trace = run_search(make(0), TableObjective(SPACE, rows, -((x - 0.66) ** 2)), SPACE, 10)
    assert len(trace.scores) == 10
    assert make(0).start == make(0).start
    assert all(SPACE.fits(configuration) for configuration in make(0).start)


@pytest.mark.slow
def test_fsbo_learns_a_toy_problem():
    rng = np.random.default_rng(1)
    rows = Encoder(SPACE).sample_units(rng, 60)
    x = np.nan_to_num(rows[:, 1], nan=0.0)
    tasks = [PastTask(f"t{i}", rows, -((x - c) ** 2)) for i, c in enumerate((0.6, 0.65, 0.7, 0.75))]
    make = methods()["fsbo"].learn(Past(SPACE, tasks))
    scores = -((x - 0.68) ** 2)
    trace = run_search(make(0), TableObjective(SPACE, rows, scores), SPACE, 14)
    assert max(trace.scores) >= np.sort(scores)[-3]
