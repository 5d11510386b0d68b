"""Negatives are drawn by seed, never fight the prompt, and prompts that cannot work are refused with a way out."""

import pytest
import torch
import torch.nn.functional as F

from fasttext2style.guidance.encoder import Coverage
from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.prompts import TOO_SIMILAR, embed_prompt, known_words_of_the_bank, word_bank
from fasttext2style.guidance.tiny_words import read_vocabulary


class LetterEncoder:
    """An encoder small enough to reason about: texts are the counts of their letters. Knows the words it is given."""

    name, resolution = "letters", 8

    def __init__(self, vocabulary: tuple[str, ...] | None = None):
        self.vocabulary = vocabulary

    def embed_texts(self, texts):
        counts = [[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        return F.normalize(torch.tensor(counts, dtype=torch.float32), dim=-1)

    def embed_images(self, images):
        return F.normalize(images.mean((1, 2)) @ torch.eye(3, 26), dim=-1)

    def image_features(self, images):
        return [images.permute(0, 3, 1, 2)]

    def junk_embeddings(self):
        return self.embed_texts(["zzz", "qqq"])

    def coverage(self, text):
        words = tuple(text.split())
        known = words if self.vocabulary is None else tuple(word for word in words if word in self.vocabulary)
        return Coverage(known, tuple(word for word in words if word not in known))


def test_the_bank_holds_10000_different_plain_words():
    words = word_bank()
    assert len(words) == len(set(words)) == 10_000
    assert all(word.isascii() and word.isalpha() and word.islower() and 3 <= len(word) <= 12 for word in words)


def test_embeddings_are_prompt_negatives_and_junk_in_this_order():
    encoder = LetterEncoder()
    texts = embed_prompt(encoder, "golden", seed=3)
    assert len(texts.negatives) == 9
    expected = encoder.embed_texts(["golden", *texts.negatives, "zzz", "qqq"])
    torch.testing.assert_close(texts.embeddings, expected)
    assert texts.warning == ""


def test_the_seed_alone_decides_the_negatives():
    first, again, other = (embed_prompt(LetterEncoder(), "golden", seed=seed).negatives for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_drawn_negatives_neither_spell_nor_mean_the_prompt():
    encoder = LetterEncoder()
    texts = embed_prompt(encoder, "a star of ice", num_negatives=2000)
    assert len(texts.negatives) == 2000
    for word in texts.negatives:
        assert not any(part in word or word in part for part in ("star", "ice"))
    cosines = texts.embeddings[1:-2] @ texts.embeddings[0]
    assert cosines.max() <= TOO_SIMILAR
    candidates = encoder.embed_texts(list(word_bank())) @ texts.embeddings[0]
    assert candidates.max() > TOO_SIMILAR, "the bank has words that had to be dropped"


def test_negatives_are_words_the_encoder_knows():
    known = ("wood", "gold", "stone", "water", "grass", "brick", "golden")
    texts = embed_prompt(LetterEncoder(known), "golden", num_negatives=9)
    assert set(texts.negatives) == {"wood", "stone", "water", "grass", "brick"}


def test_given_negatives_are_taken_as_they_are():
    texts = embed_prompt(LetterEncoder(), "gold", negatives=("wood", "a heap of stones"))
    assert texts.negatives == ("wood", "a heap of stones")
    with pytest.raises(ValueError, match=r"'Gold!' is the prompt itself"):
        embed_prompt(LetterEncoder(), "gold", negatives=("wood", "Gold!"))


def test_without_negatives_junk_remains():
    assert embed_prompt(LetterEncoder(), "gold", num_negatives=0).embeddings.shape == (3, 26)


def test_an_empty_prompt_is_refused():
    for prompt, why in (
        ("", "is empty"),
        ("  ", "is empty"),
        ("...", "has no letters"),
        ("\U0001f42f", "has no letters"),
    ):
        with pytest.raises(ValueError, match=why):
            embed_prompt(LetterEncoder(), prompt)


def test_the_bank_is_asked_for_word_by_word_also_where_it_says_not():
    """Behind the "not" among its most frequent words all others would be what is not wanted."""
    known = known_words_of_the_bank(load_encoder("tiny"))
    assert {"not", "without"} <= set(word_bank()) and {"gold", "red", "wood", "zebra"} <= set(known)
    assert set(known) == set(read_vocabulary().style) & set(word_bank())


def test_what_is_not_wanted_is_no_wish():
    for prompt in ("not gold", "no gold, never wood", "don't paint gold", "isn’t gold", "not made of gold"):
        with pytest.raises(ValueError, match=r"only says how the object should not look.*setting negatives"):
            embed_prompt(LetterEncoder(("wood", "gold")), prompt)
    counted = embed_prompt(LetterEncoder(("wood", "gold", "stone")), "wood not gold", num_negatives=1).warning
    assert "knows no \"not\": 'gold' counts as if it were wanted" in counted
    left = embed_prompt(load_encoder("tiny"), "a silver bear, isn't made of gold", num_negatives=1).warning
    assert "'made of gold' is left out" in left
    again = embed_prompt(load_encoder("tiny"), "a red bear, not a red dog", num_negatives=1).warning
    assert "'a red dog' is left out" in again, "a colour that is wanted may also stand behind the not"
    for prompt in ("not only gold", "a nothing", "notable gold", "forget-me-not gold"):
        assert 'not":' not in embed_prompt(LetterEncoder(), prompt, num_negatives=1).warning


def test_a_prompt_without_a_known_word_lists_words_that_are():
    with pytest.raises(ValueError, match=r"knows no word.*wood.*--encoder ViT-B-32"):
        embed_prompt(LetterEncoder(("wood", "gold")), "xylophone")
    # Frequent words that an encoder knows are no examples: they need not name a look.
    with pytest.raises(ValueError, match=r"for example: gold, wood\."):
        embed_prompt(LetterEncoder(("the", "house", "wood", "gold")), "xylophone")


def test_unknown_words_are_named_in_a_warning():
    texts = embed_prompt(LetterEncoder(("golden", "wood", "stone")), "golden xylophone", num_negatives=1)
    assert "'xylophone'" in texts.warning
    assert "'golden'" in texts.warning
