import json

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.appearances import (
    Follower,
    appearance,
    appearances_record,
    evaluate_appearances,
)
from automl_meta.fewshot.episodes import EpisodeSampler
from automl_meta.fewshot.orders import Sequences


def test_appearances_are_scored_apart(numbered):
    class Remembers:
        """Knows a class once it has seen it, else says 0."""

        def follow(self, meta, episodes):
            labels = torch.cat([episodes.support_y, episodes.query_y], dim=1)
            known = appearance(labels, 3) > 1
            return nn.functional.one_hot(torch.where(known, labels, 0), 3).double()

    assert isinstance(Remembers(), Follower)
    source = Sequences(EpisodeSampler(numbered(*[6] * 5), ways=3, shots=1, queries=3))
    found = {
        batch: evaluate_appearances(
            Remembers(), {}, source, episodes=7, generator=torch.Generator(), batch=batch
        )
        for batch in (7, 20)
    }
    assert found[7] == found[20]
    assert [evaluation.mean for evaluation in found[7]] == pytest.approx([1 / 3, 1, 1, 1])
    records = appearances_record(found[7])
    assert json.loads(json.dumps(records)) == records
    assert [record["appearance"] for record in records] == [1, 2, 3, 4]
    with pytest.raises(InvalidParameterError, match=r"'batch'.*int >= 1"):
        evaluate_appearances(
            Remembers(), {}, source, episodes=7, generator=torch.Generator(), batch=0
        )
