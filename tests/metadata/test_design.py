"""The design of a collection: shared where tasks must compare, random where the space must be covered."""

from automl_meta.metadata.design import design
from automl_meta.pipelines import get_family

KNN = get_family("knn")


def test_a_longer_design_begins_with_the_shorter_one():
    short = design(KNN, "classification", 10, "abc")
    assert design(KNN, "classification", 40, "abc")[:10] == short


def test_shared_ones_are_the_same_on_every_task_and_random_ones_are_not():
    a, b = (design(KNN, "classification", 40, digest) for digest in ("one", "two"))
    for x, y in zip(a, b, strict=True):
        assert (x.configuration == y.configuration) == (x.origin != "random")
        assert x.number == y.number
    origins = [c.origin for c in a]
    assert origins[:3] == ["known"] * 3
    assert abs(origins.count("shared") / origins.count("random") - 1.5) < 0.2


def test_another_seed_is_another_design():
    a, b = (design(KNN, "regression", 20, "x", seed=s) for s in (0, 1))
    assert [c.configuration for c in a[3:]] != [c.configuration for c in b[3:]]
