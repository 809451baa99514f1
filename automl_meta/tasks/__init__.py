"""Tasks: a data set, its target, its splits and its metric."""

from automl_meta.tasks.dates import expand_dates
from automl_meta.tasks.files import table_task
from automl_meta.tasks.reading import read_table
from automl_meta.tasks.resolve import load_task
from automl_meta.tasks.suites import Suite, SuiteTask, load_suite, load_suite_task
from automl_meta.tasks.task import Split, Task

__all__ = [
    "Split",
    "Suite",
    "SuiteTask",
    "Task",
    "expand_dates",
    "load_suite",
    "load_suite_task",
    "load_task",
    "read_table",
    "table_task",
]
