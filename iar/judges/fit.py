"""Does an answer have the form that the question asks for?

Fit is decided by form, never by shared words: the good answer to "How do I use this item?" names an object that only
the image shows. A request for instructions wants at least one sentence of prose, a list or code; a bare yes or no, a
letter, a list of colours, or a caption ("There is a red spoon and a mug.") does not fit it; to "Describe the image." a
caption is the answer. Fluent advice about the wrong object fits: the rules cannot see the image.
"""

from __future__ import annotations

import re

from iar.judges.evidence import CLOSED, REQUEST
from iar.judges.passage import Passage, words

# Sentences that lead in and say nothing.
HOLLOW = re.compile(
    r"well|ok|okay|sure|right|hm+|so|of course|certainly|good question|(?:let me|let us|let's) (?:see|think|look)"
    r"|(?:here is|here's) (?:my|the) answer|i (?:can )?see (?:an?|the|some|this)\b[\w ]*|this is an?\b[\w ]{,20}"
)
_COLOUR = "red|blue|green|yellow|black|white|orange|purple|pink|brown|gr[ae]y"
_CAPTION = re.compile(
    r"(?:there (?:is|are)|there's|here (?:is|are)|i (?:can )?see|this is|it is an?)\b.*"
    r"|the (?:image|picture|photo) (?:shows|contains|has|depicts)\b.*"
    r"|(?:the )?(?:answer|letter|colou?r|option) is\b.*|option [a-e]"
    rf"|.*\b(?:is|are) (?:{_COLOUR})"
)
_TELLS = re.compile(r"\byour?\b|: ")  # "here is how you use it: hold it ..." is more than a caption
# What a sentence of prose has, and a list of nouns, colours or letters has not.
_PROSE = re.compile(
    r"(?<!\S)(?:you|your|it|its|i|we|they|he|she|this|that|these|those|to|with|for|from|by|of|in|on|at"
    r"|is|are|be|was|were|have|has|do|does|can|could|should|would|will|may|might|must"
    r"|if|when|then|first|next|after|before|use|take|hold|put|try|make|get)(?![\w'])"
)


def misfit(query: str, passage: Passage) -> str:
    """Why the form does not fit the query (as ``passage.normal`` makes it), or ""."""
    unique = dict.fromkeys(passage.sentences)
    rest = [s for s in (re.sub(r"^(?:yes|no)\b,? ?", "", s) for s in unique) if s and not HOLLOW.fullmatch(s)]
    if passage.code or passage.quotes or (passage.items > 1 and passage.words >= 10):
        return ""
    if REQUEST.search(query):
        return "" if any(map(_prose, rest)) else "no sentence of prose where instructions were asked for"
    if not rest and words(" ".join(unique))[:1] in (["yes"], ["no"]):
        return "" if CLOSED.match(query) else "bare yes or no"
    if not rest:
        return "only a lead-in"
    return "a single word" if passage.words < 2 else ""


def _prose(sentence: str) -> bool:
    caption = _CAPTION.fullmatch(sentence) and not _TELLS.search(sentence)
    return " " in sentence and not caption and bool(_PROSE.search(sentence))
