"""The scene: six tensors with one row per Gaussian.

Names and activations are those of 3D Gaussian Splatting and gsplat: scales are exp(log_scales), opacities
sigmoid(logit_opacities), quats are w, x, y, z of any length, colours are spherical harmonics with coefficient 0 apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SH_DEGREES = {0: 0, 3: 1, 8: 2, 15: 3}
"""Spherical harmonics coefficients beside the constant one -> degree."""

SH_C0 = 0.28209479177387814
"""The constant spherical harmonic, 1 / (2 sqrt(pi)): a colour is 0.5 + SH_C0 * sh_dc."""

_ROW_SHAPES: dict[str, tuple[int, ...]] = {
    **{"means": (3,), "scales": (3,), "quats": (4,), "features_dc": (3,), "features_rest": (), "opacities": (1,)}
}
"""splatfacto's name -> shape of a row; (): any number of coefficients of three colours."""
SPLATFACTO_NAMES = {
    "means": "means",
    "scales": "log_scales",
    "quats": "quats",
    "features_dc": "sh_dc",
    "features_rest": "sh_rest",
    "opacities": "logit_opacities",
}
"""splatfacto's name of a tensor -> ours. Beware: before activation theirs are called scales and opacities, too.

Gaussians to look at have our names. What optimizers and gsplat's strategies change, what a history keeps and what files
hold has theirs, for gsplat, checkpoints and command lines ask for these. `from_columns` and `to_splatfacto` translate.
"""


@dataclass(frozen=True)
class Gaussians:
    """All parameters of a scene before activation; tensors may require gradients."""

    means: Float[Tensor, "gaussians 3"]
    """Centres in world coordinates."""
    quats: Float[Tensor, "gaussians 4"]
    """Rotations as w, x, y, z; not normalised."""
    log_scales: Float[Tensor, "gaussians 3"]
    """Natural logarithm of the standard deviations along the rotated axes."""
    logit_opacities: Float[Tensor, " gaussians"]
    """Opacity before the sigmoid."""
    sh_dc: Float[Tensor, "gaussians 3"]
    """Constant spherical harmonics coefficient of red, green, blue; the colour is 0.5 + 0.28209 * sh_dc + ..."""
    sh_rest: Float[Tensor, "gaussians rest 3"]
    """The other coefficients: 0, 3, 8 or 15 for degree 0 to 3."""

    def __post_init__(self) -> None:
        count = len(self.means)
        expected = {
            "means": (count, 3),
            "quats": (count, 4),
            "log_scales": (count, 3),
            "logit_opacities": (count,),
            "sh_dc": (count, 3),
            "sh_rest": (count, self.sh_rest.shape[1] if self.sh_rest.ndim == 3 else 0, 3),
        }
        for name, shape in expected.items():
            came = tuple(getattr(self, name).shape)
            if came != shape:
                raise ValueError(f"{name} should be {list(shape)} for {count:,} Gaussians, got {list(came)}")
        if self.sh_rest.shape[1] not in SH_DEGREES:
            raise ValueError(
                f"sh_rest should hold 0, 3, 8 or 15 coefficients (degree 0 to 3), got {self.sh_rest.shape[1]}"
            )

    def __len__(self) -> int:
        return len(self.means)

    @property
    def device(self) -> torch.device:
        return self.means.device

    @property
    def scales(self) -> Float[Tensor, "gaussians 3"]:
        return self.log_scales.exp()

    @property
    def opacities(self) -> Float[Tensor, " gaussians"]:
        return self.logit_opacities.sigmoid()

    @property
    def sh(self) -> Float[Tensor, "gaussians coefficients 3"]:
        """All coefficients, the constant one first, as the rasterizer takes them."""
        return torch.cat([self.sh_dc[:, None], self.sh_rest], dim=1)

    @property
    def sh_degree(self) -> int:
        return SH_DEGREES[self.sh_rest.shape[1]]

    def subset(self, index: Bool[Tensor, " gaussians"] | Int[Tensor, " chosen"]) -> Gaussians:
        """Some of the Gaussians, by mask or by row numbers (which may repeat)."""
        if index.dtype == torch.bool and len(index) != len(self):
            raise ValueError(f"A mask for {len(self):,} Gaussians has as many entries, got {len(index):,}")
        return Gaussians(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def to(self, device: torch.device | str) -> Gaussians:
        return Gaussians(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def detach(self) -> Gaussians:
        return Gaussians(**{field.name: getattr(self, field.name).detach() for field in fields(self)})

    def copy(self) -> Gaussians:
        """Detached, with tensors of its own: stays as it is when an optimizer goes on."""
        return Gaussians(**{field.name: getattr(self, field.name).detach().clone() for field in fields(self)})

    def with_sh_degree(self, degree: int) -> Gaussians:
        """The same scene with more coefficients (zeros: looks the same) or fewer (loses view dependence)."""
        rest = (degree + 1) ** 2 - 1
        padding = self.sh_rest.new_zeros(len(self), max(0, rest - self.sh_rest.shape[1]), 3)
        return replace(self, sh_rest=torch.cat([self.sh_rest[:, :rest], padding], dim=1))

    @staticmethod
    def concatenated(parts: Sequence[Gaussians]) -> Gaussians:
        """Several scenes as one, in this order; all are brought to the highest degree among them."""
        degree = max(part.sh_degree for part in parts)
        parts = [part.with_sh_degree(degree) for part in parts]
        return Gaussians(
            **{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Gaussians)}
        )

    def invalid_rows(self) -> dict[str, Bool[Tensor, " gaussians"]]:
        """Per tensor with NaN or infinite values: which Gaussians have them. Empty if all is well."""
        # A sum tells at once, and needs no memory, when all is well: NaN and infinity stay in it.
        doubtful = [f.name for f in fields(self) if not bool(getattr(self, f.name).detach().sum().isfinite())]
        bad = {name: ~getattr(self, name)[:, None].flatten(1).isfinite().all(dim=1) for name in doubtful}
        return {name: rows for name, rows in bad.items() if bool(rows.any())}

    @staticmethod
    def from_columns(columns: Mapping[str, Tensor]) -> Gaussians:
        """What `to_splatfacto` gave, back: shares the tensors, and gradients go through; other columns are left out."""
        values = {ours: columns[theirs] for theirs, ours in SPLATFACTO_NAMES.items()}
        return Gaussians(**values | {"logit_opacities": values["logit_opacities"].reshape(-1)})

    @staticmethod
    def from_splatfacto(tensors: Mapping[str, Tensor], allow_invalid: bool = False) -> Gaussians:
        """From tensors under splatfacto's names in a file, which are not trusted.

        Keys may have any prefix ("_model.gauss_params.means"); other entries are ignored. Checkpoints of SH degree 0
        need `from_checkpoint`.

        Raises:
            ValueError: not one full set of Gaussians in it, shapes that do not fit, NaN or infinite values (unless
                `allow_invalid`).
        """
        prefixes = [key.removesuffix("means") for key in tensors if key == "means" or key.endswith(".means")]
        complete = [prefix for prefix in prefixes if all(prefix + name in tensors for name in SPLATFACTO_NAMES)]
        if len(complete) != 1:
            raise ValueError(_which_gaussians(tensors, prefixes, complete))
        columns = {name: tensors[complete[0] + name] for name in SPLATFACTO_NAMES}
        for name, column in columns.items():
            if name == "opacities" and column.ndim == 1:
                column = column[:, None]
            check_column(name, column, columns["means"].shape[0] if columns["means"].ndim else 0)
        gaussians = Gaussians.from_columns(columns)
        invalid = {} if allow_invalid else gaussians.invalid_rows()
        if invalid:
            counts = ", ".join(f"{name}: {int(rows.sum()):,}" for name, rows in invalid.items())
            raise ValueError(
                f"The checkpoint has NaN or infinite values ({counts} of {len(gaussians):,} Gaussians); "
                "its training diverged. Use an earlier checkpoint."
            )
        return gaussians

    @staticmethod
    def from_checkpoint(entries: Mapping[str, Tensor], allow_invalid: bool = False) -> Gaussians:
        """From the state of a pipeline or model, of splatfacto or of ours; keys as in `from_splatfacto`.

        Ours are known by their selection, and hold the object before its last edit, too.

        Raises:
            ValueError: as `from_splatfacto`.
        """
        entries = {key: value for key, value in entries.items() if ".earlier." not in key}
        gaussians = Gaussians.from_splatfacto(entries, allow_invalid)
        if gaussians.sh_degree > 0 or any(key.rpartition(".")[2] == "selection" for key in entries):
            return gaussians
        return replace(gaussians, sh_dc=sh_dc_of_logits(gaussians.sh_dc))

    def to_splatfacto(self) -> dict[str, Tensor]:
        """Tensors under splatfacto's names and in its shapes (opacities [gaussians, 1]); not copied."""
        tensors = {theirs: getattr(self, ours) for theirs, ours in SPLATFACTO_NAMES.items()}
        return tensors | {"opacities": self.logit_opacities[:, None]}


def check_column(name: str, column: Tensor, rows: int) -> None:
    """Raises ValueError unless a tensor of a file is this column of so many Gaussians, under splatfacto's names."""
    if name not in _ROW_SHAPES:
        raise ValueError(f"{name[:80]!r} is no column of a scene")
    expected, shape = _ROW_SHAPES[name], tuple(column.shape)
    fits = shape[:1] == (rows,) and (shape[1:] == expected if expected else len(shape) == 3 and shape[2] == 3)
    if not fits or not column.dtype.is_floating_point:
        wanted = ", ".join(map(str, expected)) or "coefficients, 3"
        raise ValueError(
            f"{name} should be floating point numbers [{rows:,}, {wanted}], got {column.dtype} {list(shape)}"
        )


def sh_dc_of_logits(logits: Float[Tensor, "gaussians 3"]) -> Float[Tensor, "gaussians 3"]:
    """Colours as splatfacto keeps them at SH degree 0 (before a sigmoid), as spherical harmonics: 0 is grey in both.

    In float64, then rounded: in float32 the last bit depends on where a row stands (vectorised loops and their rests
    round differently), and a file could not be compared with a scene bit by bit.
    """
    return ((logits.double().sigmoid() - 0.5) / SH_C0).to(logits)


def _which_gaussians(tensors: Mapping[str, Tensor], prefixes: list[str], complete: list[str]) -> str:
    """What to tell a user whose state dict has no set of Gaussians, an incomplete one, or several."""
    if len(complete) > 1:
        return f"Found {len(complete)} sets of Gaussians, under {sorted(complete)}; pass the entries of one of them"
    if len(prefixes) == 1:
        missing = [name for name in SPLATFACTO_NAMES if prefixes[0] + name not in tensors]
        return f"Not a splatfacto state dict: beside {prefixes[0]}means, {', '.join(missing)} are missing"
    keys = ", ".join(map(str, list(tensors)[:8]))
    return (
        f"Not a splatfacto state dict: expected means, scales, quats, features_dc, features_rest and opacities, "
        f"got {len(tensors)} entries ({keys} ...). From a checkpoint file pass checkpoint['pipeline']"
    )
