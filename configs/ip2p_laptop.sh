#!/usr/bin/env bash
# Rounds on a machine without a GPU and without a network: the embedded editor, views of 256 pixels, twelve of them
# edited in each of three rounds.
exec ns-train fasttext2style-ip2p --editor tiny --vis tensorboard --pipeline.rounds.schedule.views 12 "$@"
