#!/usr/bin/env bash
# A capture on a machine without a GPU and without a network: embedded encoder, views of 256 pixels.
# `bear`, 96 photographs, 2 cores: 4 minutes in all, of which styling 16 s (docs/measurements.md).
exec ns-train fasttext2style --encoder tiny --vis tensorboard "$@"
