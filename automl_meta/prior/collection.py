"""A collection of learners, and the rule that no learner judges a task that it was trained on."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from automl_meta._resources import shipped_learners_folder
from automl_meta.exceptions import StoreError
from automl_meta.metadata.store import TASKS, TaskRecord, read_tasks
from automl_meta.prior.storage import ALL, MANIFEST, Learner, load_learner
from automl_meta.spaces import SearchSpace
from automl_meta.tasks.fingerprint import Fingerprint, near_duplicates


@dataclass(frozen=True)
class Choice:
    """Which model of a learner serves a task.

    Attributes:
        model: ``"all"``, ``"fold-K"``, or None where every model has seen a copy of the task.
        reason: One sentence for the report.
    """

    model: str | None
    reason: str


class Collection:
    """Learners for several spaces in one folder.

    Args:
        folder: A folder that ``automl-meta train`` wrote; by default the learners that ship.

    Raises:
        StoreError: If there are no learners.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or shipped_learners_folder()
        self.names = sorted(path.parent.name for path in self.folder.glob(f"*/{MANIFEST}"))
        if not self.names:
            msg = f"No meta-learners in {self.folder}. Train some with automl-meta train, or use --prior none."
            raise StoreError(msg)

    def learner(self, space: SearchSpace) -> Learner | None:
        """Return the learner of a space, or None where there is none.

        Args:
            space: The space to search.

        Raises:
            StoreError: If the learner was trained on another version of the space.
        """
        if space.name not in self.names:
            return None
        learner = load_learner(self.folder / space.name)
        if learner.space.schema_hash != space.schema_hash:
            msg = (
                f"The meta-learner {space.name} in {self.folder} was trained on version {learner.space.version} "
                f"({learner.space.schema_hash}) of the search space, the present one is version {space.version} "
                f"({space.schema_hash}). Train it again with automl-meta train, or use --prior none."
            )
            raise StoreError(msg)
        return learner

    def choose(self, learner: Learner, fingerprint: Fingerprint) -> Choice:
        """Choose the model that never saw the task or a near copy of it.

        Args:
            learner: From ``learner``.
            fingerprint: Of the task at hand.

        Raises:
            StoreError: If the folder's fingerprints are not those of the tasks that the learner was trained
                on: then a copy would go unseen.
        """
        past = self._fingerprints(learner)
        copies = [
            task
            for task, known in zip(learner.tasks, past, strict=True)
            if near_duplicates(known, fingerprint)
        ]
        if not copies:
            return Choice(ALL, "The task is new: no past task was recognised as a copy of it.")
        folds = {task.fold for task in copies}
        names = ", ".join(sorted(task.title for task in copies))
        if len(folds) > 1:
            return Choice(
                None, f"Every model has seen this task or one too like it to tell apart ({names})."
            )
        model = f"fold-{folds.pop()}"
        return Choice(
            model,
            f"The meta-dataset holds this task or one too like it to tell apart ({names}): a model without it is used.",
        )

    def _fingerprints(self, learner: Learner) -> list[Fingerprint]:
        """Return the fingerprints of the learner's tasks in their order."""
        stored = {record.title: record.fingerprint for record in read_tasks(self.folder)}
        unknown = _unknown_tasks(learner, stored)
        if unknown:
            msg = (
                f"{self.folder / TASKS} does not describe what the meta-learner {learner.name} was trained on: "
                f"{', '.join(unknown[:5])} missing or changed ({len(unknown)} of {len(learner.tasks)} tasks). "
                "Copy the whole folder again, train it again with automl-meta train, or use --prior none."
            )
            raise StoreError(msg)
        return [stored[task.title] for task in learner.tasks]


def stored_learners(folder: Path) -> dict[str, Learner]:
    """Return the learners of a folder by name; those that cannot be loaded are left out.

    Args:
        folder: A folder that ``automl-meta train`` wrote; one that does not exist holds none.
    """
    learners = {}
    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        with suppress(StoreError):
            learners[path.parent.name] = load_learner(path.parent)
    return learners


def refuse_other_tasks(
    folder: Path, learners: Mapping[str, Learner], records: Sequence[TaskRecord]
) -> None:
    """Make sure that a folder's ``tasks.json`` may be replaced: its learners' tasks are all in the new one.

    Args:
        folder: The folder, for the message.
        learners: From ``stored_learners``.
        records: The new tasks.

    Raises:
        StoreError: If a learner was trained on a task that is missing or other data now.
    """
    fingerprints = {record.title: record.fingerprint for record in records}
    for name, learner in learners.items():
        unknown = _unknown_tasks(learner, fingerprints)
        if unknown:
            msg = (
                f"{folder} holds the meta-learner {name} of another meta-dataset: {', '.join(unknown[:5])} "
                f"missing or changed in this one ({len(unknown)} of {len(learner.tasks)} tasks). Name another "
                "--output, or delete the folder first."
            )
            raise StoreError(msg)


def _unknown_tasks(learner: Learner, fingerprints: Mapping[str, Fingerprint]) -> list[str]:
    """Return the titles of a learner's tasks that are missing among known ones or name other data."""
    return [
        task.title
        for task in learner.tasks
        if task.title not in fingerprints or fingerprints[task.title].digest != task.digest
    ]
