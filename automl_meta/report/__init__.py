"""Tables in, readable pages out: the report of one run and the report of a comparison of methods."""

from automl_meta.report.comparison import comparison_report
from automl_meta.report.run import run_report

__all__ = ["comparison_report", "run_report"]
