"""Method fasttext2style-scene: reconstructs a capture."""
