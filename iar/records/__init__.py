"""What a run leaves on disk: append-only JSON Lines, content keys, and the run folder that holds them."""

from iar.records.keys import image_digest, key
from iar.records.log import Log
from iar.records.run import Run

__all__ = ["Log", "Run", "image_digest", "key"]
