import numpy as np
import pytest

from automl_meta.tasks import load_task, read_table
from automl_meta.tasks.bundled import find_bundled


@pytest.mark.data
def test_wdbc_equals_the_arff_file_of_data_id_1510(shared_data):
    original = read_table(shared_data / "openml" / "wdbc.arff.gz")
    copy = find_bundled(task_id=9946).load()
    assert list(copy.columns) == list(original.columns)
    assert copy["Class"].astype(str).tolist() == original["Class"].astype(str).tolist()
    np.testing.assert_array_equal(
        copy.drop(columns="Class").to_numpy(float), original.drop(columns="Class").to_numpy(float)
    )


def test_the_bundled_task_says_what_it_is(tmp_path):
    for reference in ("openml:9946", "openml-data:1510", "OpenML:9946"):
        task = load_task(reference, offline=True, cache=tmp_path, seed=3)
        assert task.split.source.endswith("seed 3")
        assert task.provenance["source"] == "bundled copy"
        assert np.bincount(task.target).tolist() == [357, 212]
