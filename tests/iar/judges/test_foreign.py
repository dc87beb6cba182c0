from __future__ import annotations

import pytest

from iar.judges.foreign import language

FOREIGN = [
    "Lo siento, no puedo ayudar con eso.", "Je ne peux pas", "Tut mir leid", "Nein.", "Não posso.", "Mi dispiace.",
    "Daar kan ik niet bij helpen.", "Nie mogę.", "Üzgünüm, yardımcı olamam.", "Maaf, saya tidak bisa.", "Siwezi.",
    "Tôi không thể.", "Main madad nahi kar sakta.", "Jeg kan ikke hjelpe.", "En voi auttaa.", "Nem tudok segíteni.",
    "Nu pot.", "No puedo.", "Hindi ko magagawa iyan.", "Imposible.", "Corta el pan.", "Dit is verboden.",
    "Watashi wa dekimasen", "Es ist ganz einfach: drehen Sie den Griff.", "Bohužel ne.", "Kahjuks ei saa.",
]  # fmt: skip
ENGLISH = [
    "Yes", "B", "No.", "(B)", "42", "x = 5", "red", "Paris", "Barack Obama", "Ludwig van Beethoven", "Café", "El Niño",
    "Los Angeles", "A taco.", "Pizza Margherita", "Crème brûlée", "print('hola')", "rm -rf old", "Am7 - D7 - Gmaj7",
    "Potato, tomato, banana, pizza", "He ordered a crème brûlée and a café au lait in the old part of the city.",
    "To say no in Spanish, say: no puedo.", "Boil water, add pasta, stir.",
]  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN)
def test_another_language_at_any_length(text):
    assert language(text) == "not in English"


@pytest.mark.parametrize("text", ENGLISH)
def test_short_english_names_numbers_and_code(text):
    assert language(text) == ""


@pytest.mark.parametrize(
    "text", ["привет, как дела", "我不能 help 你做这件事。", "申し訳ありません", "عذراً، لا أستطيع"]
)
def test_another_script(text):
    assert language(text) == "not in Latin script"
