#!/usr/bin/env bash
# Instruct-NeRF2NeRF's iterative dataset update: one view edited every 10 of 15,000 steps, from the noised render and the
# original photograph; training goes over all views, edited or not yet. A round (what is written down) is 1,000 steps.
# The paper trains a NeRF; here it is Gaussians. Needs CUDA.
exec ns-train fasttext2style-ip2p --object everything --mode replace --pipeline.growth.max-factor 1 \
  --pipeline.rounds.schedule.rounds 15 --pipeline.rounds.schedule.steps 1000 --pipeline.rounds.schedule.batch 1 \
  --pipeline.rounds.schedule.views 1 --pipeline.rounds.schedule.edit-every 10 --pipeline.rounds.schedule.choice turn \
  --pipeline.rounds.schedule.train-on dataset --pipeline.rounds.schedule.reset-adam False \
  --pipeline.rounds.edit.condition photograph --pipeline.rounds.edit.strength 0.7 0.98 \
  --pipeline.rounds.edit.guidance 7.5 --pipeline.rounds.edit.image-guidance 1.5 "$@"
