"""Few-shot learning: data, episodes, networks and learners."""

from automl_meta.fewshot.data import ClassTable, FewShotDataset, check_disjoint
from automl_meta.fewshot.download import download_omniglot
from automl_meta.fewshot.episodes import Episodes, EpisodeSampler, EpisodeSource
from automl_meta.fewshot.omniglot import Split, load_omniglot, split_alphabets, split_characters
from automl_meta.fewshot.regression import Harmonics, Sinusoids

__all__ = [
    "ClassTable",
    "EpisodeSampler",
    "EpisodeSource",
    "Episodes",
    "FewShotDataset",
    "Harmonics",
    "Sinusoids",
    "Split",
    "check_disjoint",
    "download_omniglot",
    "load_omniglot",
    "split_alphabets",
    "split_characters",
]
