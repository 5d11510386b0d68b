"""What the editor is told: sentences that ask for a look, and sentences that it cannot understand."""

from __future__ import annotations

import random

from encoder_parts import COLOURS, OBJECTS, SYNONYMS, stranger_words

FOR_ANY = (
    "make it {look}", "make the {thing} {look}", "turn it into {look}", "turn the {thing} into {look}",
    "make it look like {look}", "a {look} {thing}", "{look}", "a {thing} made of {look}", "make it a {look} {thing}",
    "the {thing} should be {look}", "turn the {thing} into a {look} {thing}", "change the {thing} to {look}",
)  # fmt: skip
FOR_COLOURS = (
    "make it {look}", "make the {thing} {look}", "turn it {look}", "turn the {thing} {look}", "paint it {look}",
    "paint the {thing} {look}", "color it {look}", "a {look} {thing}", "a bright {look} {thing}", "{look} {thing}",
)  # fmt: skip
FOR_MATERIALS = (
    "turn it into {look}", "turn the {thing} into {look}", "make the {thing} out of {look}", "make it of {look}",
    "a {thing} made of {look}", "a {thing} made out of {look}", "a statue of a {thing} in {look}", "{look} {thing}",
    "cover it in {look}", "cover the {thing} with {look}", "as if made of {look}", "a photo of a {look} {thing}",
)  # fmt: skip
USUAL_THINGS = ("bear", "statue", "object", "figure", "animal", "thing")


class Instructions:
    """Draws sentences; all follows from the seed and the order of calls."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.strangers = stranger_words()

    def asking_for(self, look: str) -> str:
        """One in ten names a thing by a word that is never seen elsewhere: that must not hinder."""
        own = FOR_COLOURS if look in COLOURS else FOR_MATERIALS
        template = self.draw.choice(own if self.draw.random() < 0.6 else FOR_ANY)
        return template.format(look=self.draw.choice(SYNONYMS[look]), thing=self._thing())

    def unknown(self) -> str:
        """A sentence of the same build about a word that is no look."""
        template = self.draw.choice(FOR_ANY + FOR_COLOURS + FOR_MATERIALS)
        return template.format(look=self.draw.choice(self.strangers), thing=self._thing())

    def _thing(self) -> str:
        chance = self.draw.random()
        if chance < 0.1:
            return self.draw.choice(self.strangers)
        return self.draw.choice(USUAL_THINGS if chance < 0.6 else OBJECTS)
