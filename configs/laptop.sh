#!/usr/bin/env bash
# A capture on a machine without a GPU and without a network: embedded encoder, views of 256 pixels.
# Reconstruction about 4 minutes, styling about 1 minute on 2 cores (README, measured times).
exec ns-train fasttext2style --encoder tiny --vis tensorboard "$@"
