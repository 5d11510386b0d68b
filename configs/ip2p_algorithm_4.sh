#!/usr/bin/env bash
# FastText2ObjectStyle, Algorithm 4: all views edited every 20 epochs, trained on in batches of 64 at 128 pixels; L1, L2
# and three times LPIPS, guidance 12 and 1.75, as in the authors' code. Four edits in all (paper, 4.3). Needs CUDA.
exec ns-train fasttext2style-ip2p --pipeline.datamanager.max-image-size 128 \
  --pipeline.rounds.schedule.rounds 4 --pipeline.rounds.schedule.epochs 20 --pipeline.rounds.schedule.batch 64 \
  --pipeline.rounds.edit.condition photograph --pipeline.rounds.edit.steps 20 --pipeline.rounds.edit.strength 0.7 0.98 \
  --pipeline.rounds.edit.guidance 12 --pipeline.rounds.edit.image-guidance 1.75 --pipeline.rounds.edit.detail False \
  --pipeline.rounds.losses.l2-weight 1 --pipeline.rounds.losses.lpips-weight 3 "$@"
