"""The command line: the only place with print, progress bars and exit codes.

Modules here import nothing heavy at the top, so that ``automl-meta --help`` stays instant.
"""

from automl_meta.cli.app import main

__all__ = ["main"]
