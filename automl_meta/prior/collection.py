"""A collection of learners, and the rule that no learner judges a task that it was trained on."""

from dataclasses import dataclass
from pathlib import Path

from automl_meta._resources import shipped_learners_folder
from automl_meta.exceptions import StoreError
from automl_meta.metadata.store import read_tasks
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
        """
        trained = {task.title: task for task in learner.tasks}
        copies = [
            trained[record.title]
            for record in read_tasks(self.folder)
            if record.title in trained and near_duplicates(record.fingerprint, fingerprint)
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
