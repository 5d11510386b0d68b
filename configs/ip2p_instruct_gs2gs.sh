#!/usr/bin/env bash
# Instruct-GS2GS: all views edited anew every 2,500 of 7,500 steps, from the noised render and the original photograph;
# the whole scene trains, Adam goes on. Needs CUDA.
exec ns-train fasttext2style-ip2p --object everything --mode replace --pipeline.growth.max-factor 1 \
  --pipeline.rounds.schedule.rounds 3 --pipeline.rounds.schedule.steps 2500 --pipeline.rounds.schedule.batch 1 \
  --pipeline.rounds.schedule.reset-adam False \
  --pipeline.rounds.edit.condition photograph --pipeline.rounds.edit.steps 20 --pipeline.rounds.edit.strength 0.7 0.98 \
  --pipeline.rounds.edit.guidance 12.5 --pipeline.rounds.edit.image-guidance 1.5 "$@"
