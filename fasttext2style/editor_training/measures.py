"""Edits in numbers. Every reference is named: the paper's table has L1 and L2 to the target and SSIM and PSNR to the
picture before, in one row."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.evaluation.image_metrics import psnr, ssim
from fasttext2style.guidance.encoder import TextImageEncoder

Pictures = Float[Tensor, "cases height width 3"]


def measures(
    cases: EditCases,
    edited: Pictures,
    encoder: TextImageEncoder | None = None,
    attention: Float[Tensor, "cases h w"] | None = None,
) -> dict[str, float]:
    """Means over the cases; NaN for what cannot be said, infinite PSNR for what did not change.

    L1 and L2 are the mean absolute and the mean square error of all pixels (MagicBrush).
    """
    weights = cases.masks[..., 0]
    everywhere = torch.ones_like(weights)
    found = {
        "outside_change": _mean((edited - cases.images).abs().mean(-1), 1 - weights),
        "inside_change": _mean((edited - cases.images).abs().mean(-1), weights),
        "psnr_to_original": psnr(edited, cases.images, everywhere),
        "psnr_to_original_outside": psnr(edited, cases.images, 1 - weights),
        "ssim_to_original": ssim(edited, cases.images, everywhere),
    }
    if cases.targets is not None:
        found |= {
            "l1_to_target": float((edited - cases.targets).abs().mean()),
            "l2_to_target": float((edited - cases.targets).square().mean()),
            "l1_to_target_inside": _mean((edited - cases.targets).abs().mean(-1), weights),
            "psnr_to_target": psnr(edited, cases.targets, everywhere),
            "psnr_to_target_inside": psnr(edited, cases.targets, weights),
            "ssim_to_target": ssim(edited, cases.targets, everywhere),
            "asked": float(asked_share(cases, edited).nanmean()),
        }
    if encoder is not None:
        found["clip_t"] = float(caption_similarity(cases, edited, encoder).mean())
    if attention is not None:
        found["attention_iou"] = float(attention_iou(attention, cases.masks).mean())
    return found


@torch.no_grad()
def caption_similarity(cases: EditCases, edited: Pictures, encoder: TextImageEncoder) -> Float[Tensor, " cases"]:
    """CLIP-T: cosine between each picture as it was edited and its caption, by the encoder."""
    texts = encoder.embed_texts(list(cases.captions)).to(edited.device)
    return (encoder.embed_images(edited) * texts).sum(-1)


def asked_share(cases: EditCases, edited: Pictures) -> Float[Tensor, " cases"]:
    """How far the mean colour inside the mask went from the original's to the target's: 0 not at all, 1 all the way.

    Only along the way that was asked for; NaN where that is none (less than 1/255).
    """
    assert cases.targets is not None, "only cases with targets say which colour is asked for"

    def colour(pictures: Pictures) -> Float[Tensor, "cases 3"]:
        return (pictures * cases.masks).sum((1, 2)) / cases.masks.sum((1, 2))

    before, after, wanted = (colour(pictures) for pictures in (cases.images, edited, cases.targets))
    way = wanted - before
    length = way.square().sum(1)
    share = ((after - before) * way).sum(1) / length.clamp_min(1e-12)
    return torch.where(length > (1 / 255) ** 2, share, math.nan)


def attention_iou(
    attention: Float[Tensor, "cases h w"], masks: Float[Tensor, "cases height width 1"]
) -> Float[Tensor, " cases"]:
    """Overlap of the mask with as many pixels of the map as the mask has, the strongest: 1 if they are the same.

    By as many, so that no threshold has to be chosen; chance is about share / (2 - share) of a mask's share.
    """
    small = F.interpolate(masks.movedim(-1, 1), attention.shape[1:], mode="area").flatten(1) > 0.5
    ious = []
    for map_, mask in zip(attention.flatten(1), small):
        strongest = torch.zeros_like(mask)
        strongest[map_.topk(int(mask.sum())).indices] = True
        ious.append((strongest & mask).sum() / (strongest | mask).sum().clamp_min(1))
    return torch.stack(ious).float()


def _mean(values: Float[Tensor, "cases height width"], weights: Float[Tensor, "cases height width"]) -> float:
    return float((values * weights).sum() / weights.sum().clamp_min(1e-8))
