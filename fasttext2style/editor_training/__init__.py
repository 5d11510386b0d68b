"""Editors that learn to hit the object: an InstructPix2Pix editor is tuned by reinforcement, and only by a LoRA.

After InstructRL4Pix (Li et al. 2024), which is DDPO (Black et al. 2023) with a reward from attention maps. `cases` are
what is trained and measured on (a run's views, `magic_brush`, `toy_cases`), `rewards` say what is good; `policy` is the
editor as a policy, `transitions` are its densities, `ppo` and `reinforcement` the algorithm, `training` the loop;
`supervised` and `draft` are what it has to be compared with; `evaluation` measures, `page` shows.
"""
