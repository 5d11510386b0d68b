#!/usr/bin/env bash
# FastText2ObjectStyle, Algorithm 3: each step renders one view, has it edited beside the masked photograph, and trains
# on it by LPIPS, L1 and the "RGB loss" (read as L2), on the object alone. 251 edits a round, 4 rounds. Needs CUDA.
exec ns-train fasttext2style-ip2p \
  --pipeline.rounds.schedule.rounds 4 --pipeline.rounds.schedule.steps 251 --pipeline.rounds.schedule.batch 1 \
  --pipeline.rounds.schedule.views 1 --pipeline.rounds.schedule.edit-every 1 --pipeline.rounds.schedule.choice turn \
  --pipeline.rounds.schedule.train-on newest --pipeline.rounds.schedule.reset-adam False \
  --pipeline.rounds.edit.condition "masked photograph" --pipeline.rounds.edit.detail False \
  --pipeline.rounds.losses.l2-weight 1 "$@"
