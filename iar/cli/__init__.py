"""How a command meets its user: settings in, one line for bad input, completion, and the jobs of a sweep."""

from iar.cli.command import call, fail, jobs, launch, main, reported

__all__ = ["call", "fail", "jobs", "launch", "main", "reported"]
