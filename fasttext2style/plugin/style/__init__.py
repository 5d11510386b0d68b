"""Method fasttext2style: a sentence, by CLIP."""
