"""A plan to answers, verdicts and scores, and the one reader of what a run left on disk."""
