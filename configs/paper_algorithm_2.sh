#!/usr/bin/env bash
# FastText2ObjectStyle, Algorithm 2 as in its Table 2: negative log-likelihood with nine drawn negatives, temperature 1,
# VGG content loss, batches of 64 views at 224 pixels. 79 steps of 64 views are its 5,020 view-iterations (101 s on an
# RTX A6000 there). Needs a GPU, CLIP and VGG weights. Not timed by us yet.
exec ns-train fasttext2style --encoder ViT-B-32 --pipeline.styler.objective.loss nll \
    --pipeline.styler.objective.temperature 1.0 --pipeline.styler.objective.patches-per-view 0 \
    --pipeline.styler.objective.content vgg --pipeline.styler.objective.content-weight 0.1 \
    --pipeline.styler.views-per-step 64 --max-num-iterations 79 "$@"
