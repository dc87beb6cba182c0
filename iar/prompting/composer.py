"""The conversation of a sample under a configuration: demonstrations, then the question as the method asks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.sample import Sample
from iar.errors import UserError
from iar.prompting import cot, reminder
from iar.prompting.attack import attacked
from iar.prompting.conversation import Conversation, Turn
from iar.prompting.few_shot import Demonstrations

if TYPE_CHECKING:
    from iar.revision.configuration import Configuration


@dataclass(frozen=True)
class Composer:
    """What is said for a sample under a configuration (`iar.prompting.Compose`).

    Reminder and instruction stand with the question alone: demonstrations are asked as they are in their file.

    Attributes:
        attack: One of `iar.prompting.attack`, around all of it; "" for none.
    """

    demonstrations: Demonstrations | None = None
    attack: str = ""

    def __call__(self, sample: Sample, configuration: Configuration) -> Conversation:
        text = sample.prompt
        if "prompt" in configuration.prompting:
            text = reminder.reminded(text, configuration.reminder)
        if cot.PART in configuration.prompting:
            text = cot.instructed(text)
        return attacked((*self.shown(sample, configuration), Turn("user", text, sample.images)), self.attack)

    def shown(self, sample: Sample, configuration: Configuration) -> Conversation:
        """The demonstrations before the question.

        Raises:
            UserError: The configuration has shots and there are no demonstrations.
        """
        if not configuration.shots:
            return ()
        if self.demonstrations is None:
            raise UserError("method fewshot needs demonstrations: demonstrations=FILE")
        shots = configuration.shots, configuration.shots_by, configuration.shots_seed
        return self.demonstrations.turns(sample, *shots)

    def describe(self) -> dict[str, Any]:
        """What a run's definition holds of it: the demonstrations' digest and the attack, where there are any."""
        shown = {"demonstrations": self.demonstrations.digest} if self.demonstrations else {}
        return shown | ({"attack": self.attack} if self.attack else {})

    def by_seed(self, samples: Sequence[Sample], configuration: Configuration) -> int:
        """Of how many questions the demonstrations cannot all be of their category, as the configuration wants them."""
        if configuration.shots_by != "category" or self.demonstrations is None:
            return 0
        return sum(not self.demonstrations.has(sample, configuration.shots) for sample in samples)
