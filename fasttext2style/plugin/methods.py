"""The door: what nerfstudio reads at every start of every ns-* command. Imports nothing heavy.

`fasttext2style` styles an object by a sentence; `fasttext2style-ip2p` edits it in rounds by an instruction, with an
editor of pictures, and `fasttext2style-nerf` does so with a NeRF; `fasttext2style-scene` is splatfacto on our
rasterizer, which also trains without CUDA, and reconstructs the scene when no base run is given. Each has a room of its
own beside this file.
"""

from __future__ import annotations

from fasttext2style.plugin.host.chatter import silence_known_warnings
from fasttext2style.plugin.host.ffmpeg import offer_ffmpeg
from fasttext2style.plugin.host.old_runs import read_runs_of_0_1
from fasttext2style.plugin.host.torch_compat import allow_learning_rates_in_checkpoints
from fasttext2style.plugin.host.tracebacks import tell_in_words
from fasttext2style.plugin.nerf.method import fasttext2style_nerf
from fasttext2style.plugin.rounds.method import fasttext2style_ip2p
from fasttext2style.plugin.scene.method import fasttext2style_scene
from fasttext2style.plugin.style.method import fasttext2style

__all__ = ["fasttext2style", "fasttext2style_ip2p", "fasttext2style_nerf", "fasttext2style_scene"]

silence_known_warnings()
allow_learning_rates_in_checkpoints()
offer_ffmpeg()
read_runs_of_0_1()
tell_in_words()
