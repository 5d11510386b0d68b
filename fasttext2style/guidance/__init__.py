"""Losses of images against texts and other images, without any 3D.

Images are [views, height, width, 3] float sRGB in [0, 1]. Renders show the object alone, premultiplied by its alpha
on black, so that `image + (1 - alpha) * background` puts it on any background. Embeddings have unit norm.

`encoder` says what turns images and texts into embeddings and `load` finds one by name (`open_clip_encoder` for real
CLIP models, `tiny_encoder` for the embedded one, `tiny_words` its vocabulary), `prompts` draws the negatives
(`negation` is what a sentence does not want), `text_losses` compares and `text_loss` finds a comparison by name,
`augment` makes patches, `image_losses` and `anchors` keep the object what it was, `weights` come from somewhere, and
`objective` puts one styling loss together. Pictures as styles: `feature_maps` finds the network that sees them,
`picture_losses` compares, `picture_objective` is the loss.
"""
