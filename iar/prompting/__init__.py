"""What is said to a model around a question: the methods that change the prompt and leave the activations alone."""

from iar.prompting.conversation import Compose, Conversation, Turn, begun, plain
from iar.prompting.cot import final_answer, scored_text

__all__ = ["Compose", "Conversation", "Turn", "begun", "final_answer", "plain", "scored_text"]
