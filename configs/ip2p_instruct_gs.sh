#!/usr/bin/env bash
# instruct-gs: ten rounds of 2,500 steps; InstructPix2Pix edits the renders (not the photographs) of a part of the views,
# those fitted worst among them; L1 and LPIPS inside the object, the rest held. Needs CUDA.
exec ns-train fasttext2style-ip2p \
  --pipeline.rounds.schedule.rounds 10 --pipeline.rounds.schedule.steps 2500 \
  --pipeline.rounds.schedule.views 30 --pipeline.rounds.schedule.choice residual \
  --pipeline.rounds.edit.detail False --pipeline.rounds.edit.condition render \
  --pipeline.rounds.edit.steps 20 --pipeline.rounds.edit.guidance 7.5 "$@"
