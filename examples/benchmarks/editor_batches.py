"""Views edited together against one by one: seconds per view and peak memory by batch size.

    python examples/benchmarks/editor_batches.py                                    # the packaged editor
    python examples/benchmarks/editor_batches.py --model random --device cuda       # real size, 512 x 512, fp16

"random" is InstructPix2Pix's own configuration (Stable Diffusion 1.5, eight input channels) with random weights: what
they are does not change how long they take. Prints one table row per batch size, writes editor_batches.json.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from fasttext2style.editors.diffusion.folder import load_diffusers_editor
from fasttext2style.editors.diffusion.instruct_pix2pix import InstructPix2PixConfig, InstructPix2PixEditor
from fasttext2style.editors.editor import EditRequest
from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor
from fasttext2style.evaluation.report import versions
from fasttext2style.evaluation.timing import peak_memory_gib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tiny", help='what load_editor takes, or "random"')
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batches", type=int, nargs="+", help="views at once; default 1 8, on CUDA 1 4 16")
    parser.add_argument("--views", type=int, help="views per measurement; default the largest batch")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts, batch sizes take turns")
    parser.add_argument("--dtype", default="auto", choices=["auto", "fp32", "fp16", "bf16"])
    parser.add_argument("--key-views", type=int, default=0)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("outputs/editor_batches"))
    options = parser.parse_args()

    batches = options.batches or ([1, 4, 16] if options.device.startswith("cuda") else [1, 8])
    views = options.views or max(batches)
    config = InstructPix2PixConfig(dtype=options.dtype, compile=options.compile, key_views=options.key_views)
    editor = load(options.model, options.device, config)
    images = torch.rand(views, editor.native_size, editor.native_size, 3)
    request = EditRequest(images.to(options.device), "turn it into gold", steps=options.steps)

    seconds: dict[int, float] = {}
    memory: dict[int, float] = {}
    for batch in sorted(batches):
        # In rising order, for a host's peak never falls again; this edit also warms up.
        edit(editor, request, batch, options.device, steps=2)
        memory[batch] = peak_memory_gib()["cuda" if options.device.startswith("cuda") else "host"]
    for _ in range(options.repeats):
        for batch in batches:
            measured = edit(editor, request, batch, options.device, steps=options.steps)
            seconds[batch] = min(measured, seconds.get(batch, measured))

    side, first = editor.native_size, batches[0]
    rows = [
        {
            "batch": batch,
            "seconds per view": round(seconds[batch] / views, 4),
            "speed-up": round(seconds[first] / seconds[batch], 2),
            "peak GiB": round(memory[batch], 2),
        }
        for batch in batches
    ]
    print(f"{editor.name}, {side} x {side}, {options.steps} steps, {views} views, {options.device}")
    print("| views at once | s per view | times faster | peak GiB |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['batch']} | {row['seconds per view']} | {row['speed-up']} | {row['peak GiB']} |")
    options.out.mkdir(parents=True, exist_ok=True)
    settings = {name: str(value) for name, value in vars(options).items()}
    device = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else "CPU"
    report = {"settings": settings, "device": device, "threads": torch.get_num_threads(), "versions": versions()}
    (options.out / "editor_batches.json").write_text(json.dumps(report | {"rows": rows}, indent=1))


def load(model: str, device: str, config: InstructPix2PixConfig) -> InstructPix2PixEditor:
    """The bare editor: what is measured is the model, not crops and composites."""
    if model == "random":
        with torch.device(device):
            return InstructPix2PixEditor(random_pipeline(), device, config, "InstructPix2Pix, random weights")
    editor = load_diffusers_editor(model, device, asdict(config), [])
    assert isinstance(editor, InstructPix2PixEditor), f"{model} is a {type(editor).__name__}"
    return editor


def random_pipeline():
    """InstructPix2Pix as its authors configured it; only the vocabulary is of single bytes."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionInstructPix2PixPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    characters = list(bytes_to_unicode().values())
    words = characters + [character + "</w>" for character in characters] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return StableDiffusionInstructPix2PixPipeline(
        vae=AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77),
        unet=UNet2DConditionModel(sample_size=64, in_channels=8, cross_attention_dim=768),
        scheduler=DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def edit(editor: InstructPix2PixEditor, request: EditRequest, batch: int, device: str, steps: int) -> float:
    """Seconds for all views in batches."""
    local = LocalEditor(editor, LocalEditConfig(batch_size=batch))
    synchronize(device, reset_peak=steps == 2)
    started = time.perf_counter()
    result = local.edit(replace(request, steps=steps))
    synchronize(device)
    if result.info["batch_size"] != batch:
        raise SystemExit(f"A batch of {batch} does not fit into the memory; measure up to {result.info['batch_size']}")
    return time.perf_counter() - started


def synchronize(device: str, reset_peak: bool = False) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        if reset_peak:
            torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
