"""The stages between the commands: data, vectors, answers, verdicts, scores, and what the user sees of them."""
