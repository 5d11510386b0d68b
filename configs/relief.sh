#!/usr/bin/env bash
# Form as well as colour: scales and places train, and the object may grow by half ("spiky", "mossy").
# Not timed yet.
exec ns-train fasttext2style --pipeline.styler.train features_dc features_rest scales means \
    --pipeline.growth.enabled True "$@"
