"""Which configurations are evaluated on a task.

Three origins: the family's known-good starting points; a Sobol sequence shared by all tasks, which makes
tasks comparable configuration by configuration (the warm-start set is chosen from these); and random
ones drawn anew for each task, which cover the space for the surrogate.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import qmc

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines import Family

Origin = Literal["known", "shared", "random"]


@dataclass(frozen=True)
class Candidate:
    """One configuration of the design.

    Attributes:
        number: Position in the design of its family; the same number is the same configuration on
            every task unless the origin is ``"random"``.
        origin: Where it comes from.
        configuration: Active parameters.
    """

    number: int
    origin: Origin
    configuration: Configuration


def design(
    family: Family, problem: ProblemKind, n: int, task_digest: str, seed: int = 0
) -> tuple[Candidate, ...]:
    """Return the first n configurations to evaluate for a family on a task.

    A longer design begins with the shorter one, so a collection can grow later.

    Args:
        family: The family.
        problem: ``"classification"`` or ``"regression"``.
        n: How many, >= 1.
        task_digest: Digest of the task's fingerprint; decides the random ones.
        seed: Seed of all of it.

    Returns:
        The known ones first, then shared and random ones in the ratio three to two.
    """
    space = family.space(problem)
    known = family.starting_points(problem)
    text = f"{seed}/{family.name}/{problem}"
    sobol = qmc.Sobol(len(space.distributions), rng=np.random.default_rng(_number(text)))
    shared = iter(sobol.random_base2(max(4, int(np.ceil(np.log2(n + 1))))))
    rng = np.random.default_rng(_number(f"{text}/{task_digest}"))
    candidates = []
    for number in range(n):
        if number < len(known):
            origin: Origin = "known"
            configuration = known[number]
        elif (number - len(known)) % 5 < 3:
            origin, configuration = "shared", space.from_units(next(shared))
        else:
            origin, configuration = "random", space.sample(rng, 1)[0]
        candidates.append(Candidate(number, origin, space.validate(configuration)))
    return tuple(candidates)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
