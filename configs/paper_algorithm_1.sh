#!/usr/bin/env bash
# FastText2ObjectStyle, Algorithm 1: cosine to the prompt alone, one view at a time, no patches. The paper found that it
# hardly changes anything; it is here to compare with. Not timed with real CLIP weights yet.
exec ns-train fasttext2style --encoder ViT-B-32 --pipeline.styler.objective.loss cosine \
    --pipeline.styler.objective.patches-per-view 0 --pipeline.styler.views-per-step 1 "$@"
