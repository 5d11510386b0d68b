"""Compiled loops of the CPU rasterizer: project, shade, sort, bin, blend, and their adjoints.

Every kernel takes `first, last` (the range of jobs to do) and then plain contiguous arrays, releases the GIL, and
writes only what belongs to its jobs; `cpu_backend` hands ranges of jobs to threads. All kernels stand in this one
file on purpose: numba's disk cache of a kernel notices changes of the kernel's own file only, so a helper in another
file could go stale.

The rules (cull, radius, 1/255, 0.999, 1e-4, cut at the tiles that the 3-sigma square touches) are those of gsplat's
CUDA kernels, https://github.com/nerfstudio-project/gsplat, version 1.4.0. Depth order breaks ties by index, as there.

How the inner loops stay fast (each of these was measured to cost a factor of 1.3 to 13 when broken):
- all indices of `_blend` and `_blend_adjoint` are uint64, for numba adds a negative-index select to signed ones;
- all numbers are float32 by type: a bare `2 * x` is float64 in numba;
- the pixels of a tile live in one buffer at constant offsets, for LLVM gives up on many possibly aliased arrays;
- choices are selects, never branches, and exp is a polynomial;
- fastmath has `reassoc` (sums become vectors) but neither `nnan` nor `ninf`: comparisons with NaN must stay false,
  for that is how broken Gaussians are culled.
"""

from math import sqrt

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

TILE = 16
PIXELS = TILE * TILE
ROW = 16  # floats per packed splat: one cache line
CHUNK = 1024  # Gaussians per job
PAUSE = 16  # splats between two looks for lines that are full
# Rows that are touched ahead of their use, so that their loads wait for memory together; the sum of what was touched
# goes to an array `touched`, else the compiler would drop the loads. Halves the time of passes in another order.
BLOCK = 64
CHANNELS = 4  # colour channels of a packed splat

_options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
_kernel = njit(cache=True, **_options)
# Written into the caller, for a call counts references to its arrays, atomically: 40 cycles for each.
_helper = njit(inline="always", **_options)

f32 = np.float32
u64 = np.uint64
ZERO, HALF, ONE, TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
MAX_ALPHA = f32(0.999)
MIN_TRANSMITTANCE = f32(1e-4)
PAD = f32(0.01)  # pixels by which a splat's extent is widened, so that rounding never drops a pixel that counts
MAX_LOG_OPACITY = f32(0.05)  # (log 1.5) / 8: above it, an opacity counts as broken and the Gaussian is not drawn
MIN_PRECISION = f32(1e-12)  # rounding must not make a needle infinitely long: this is a deviation of 1e6 pixels
MAX_RADIUS = f32(1e8)  # a larger splat is culled: its covariance would overflow float32

# A packed splat. With dx, dy from pixel to centre, sigma / 8 = (L1 dx + L2 dy)^2 + (L3 dy)^2: a sum of squares, so
# that needles keep sigma >= 0 in float32. LOG_OPACITY is divided by 8 too, so that alpha = exp(LOG_OPACITY - ...)^8.
# LOW_X..HIGH_X, LOW_Y..HIGH_Y are the pixels (both ends included) where it may be seen.
GX, GY, L1, L2, L3, LOG_OPACITY, LOW_Y, HIGH_Y, COLOR, LOW_X, HIGH_X, Y_AT_X_EXTENT, FIRST_BAND = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15,
)  # fmt: skip

# Planes of a tile's buffer, as offsets in float32. "Done" pixels have a transmittance below zero.
T, P0, P1, P2, P3 = u64(0), u64(PIXELS), u64(2 * PIXELS), u64(3 * PIXELS), u64(4 * PIXELS)  # P: colours, or gradients
REMAINDER, SHARE = u64(5 * PIXELS), u64(6 * PIXELS)  # only of the adjoint
PX = u64(7 * PIXELS)  # the pixel centres' columns
PLANES = 8
U0, U1, U_TILE, U_ROW = u64(0), u64(1), u64(TILE), u64(ROW)

# exp(x) = (1 + x (E1 + x (E2 + ...)))^8 at x/8 in [-0.75, 0]: relative error 1e-6, as of CUDA's __expf.
E1, E2, E3, E4, E5 = f32(0.99999267), f32(0.49986938), f32(0.16589195), f32(0.039607447), f32(0.0057391245)
FLIP = np.uint32(0x7EF311C7)  # these bits minus those of a float are its reciprocal within 12 %
MIN_EXPONENT = f32(-np.log(255.0) / 8.0)  # log(1/255) / 8: alpha below 1/255 is not drawn


@intrinsic
def _prefer_512_bits(typing_context):
    """Called in a kernel: let LLVM use whole AVX-512 registers there (it prefers halves on Intel).

    Worth 10 to 20 % of the blending, whose sums then fit into registers; without meaning on other processors.
    """

    def generate(context, builder, signature, arguments):
        # set.add, for llvmlite's own add knows a fixed list of attributes, all without a value.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


# --- projection -------------------------------------------------------------------------------------------------


@_helper
def _rotation(quats, i, rotation):
    """Rotation matrix of quaternion i into rotation[9]; returns 1 / norm, or 0 for a zero quaternion (identity)."""
    w, x, y, z = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    norm = sqrt(w * w + x * x + y * y + z * z)
    inverse = ZERO if norm < f32(1e-12) else ONE / norm
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    rotation[0] = ONE - TWO * (y * y + z * z)
    rotation[1] = TWO * (x * y - w * z)
    rotation[2] = TWO * (x * z + w * y)
    rotation[3] = TWO * (x * y + w * z)
    rotation[4] = ONE - TWO * (x * x + z * z)
    rotation[5] = TWO * (y * z - w * x)
    rotation[6] = TWO * (x * z - w * y)
    rotation[7] = TWO * (y * z + w * x)
    rotation[8] = ONE - TWO * (x * x + y * y)
    return inverse


@_helper
def _clamped_slope(slope, focal, center, extent):
    """Slope x/z of a ray, kept within 1.3 times the half image, where the Jacobian is taken (3DGS, gsplat)."""
    margin = f32(0.15) * extent / focal
    low = -(center / focal + margin)
    high = (extent - center) / focal + margin
    return min(high, max(low, slope))


@_helper
def _camera_point(v, px, py, pz):
    x = v[0, 0] * px + v[0, 1] * py + v[0, 2] * pz + v[0, 3]
    y = v[1, 0] * px + v[1, 1] * py + v[1, 2] * pz + v[1, 3]
    z = v[2, 0] * px + v[2, 1] * py + v[2, 2] * pz + v[2, 3]
    return x, y, z


@_helper
def _screen_rows(v, j00, j02, j11, j12):
    """The two rows of P = J R_view, J the Jacobian of the perspective projection."""
    p00 = j00 * v[0, 0] + j02 * v[2, 0]
    p01 = j00 * v[0, 1] + j02 * v[2, 1]
    p02 = j00 * v[0, 2] + j02 * v[2, 2]
    p10 = j11 * v[1, 0] + j12 * v[2, 0]
    p11 = j11 * v[1, 1] + j12 * v[2, 1]
    p12 = j11 * v[1, 2] + j12 * v[2, 2]
    return p00, p01, p02, p10, p11, p12


@_helper
def _row_times(a, b, c, m):
    """The row (a, b, c) times the 3x3 matrix m[9]."""
    return a * m[0] + b * m[3] + c * m[6], a * m[1] + b * m[4] + c * m[7], a * m[2] + b * m[5] + c * m[8]


@_helper
def _times_row(a, b, c, m):
    """The row (a, b, c) times the transpose of m[9]."""
    return a * m[0] + b * m[1] + c * m[2], a * m[3] + b * m[4] + c * m[5], a * m[6] + b * m[7] + c * m[8]


@_kernel
def project_forward(
    first, last, means, quats, scales, viewmats, Ks, width, height, eps2d, near, far, radius_clip, antialiased,
    radii, means2d, depths, conics, compensations,
):  # fmt: skip
    """3D Gaussians to 2D splats. A job is a chunk of Gaussians in all views; culled rows become zero."""
    eps = f32(eps2d)
    extent_x, extent_y = f32(width), f32(height)
    near, far, radius_clip = f32(near), f32(far), f32(radius_clip)
    axes = np.empty((CHUNK, 9), np.float32)
    for chunk in range(first, last):
        start, stop = chunk * CHUNK, min((chunk + 1) * CHUNK, means.shape[0])
        for i in range(start, stop):
            m = axes[i - start]
            _rotation(quats, i, m)
            for k in range(3):
                m[3 * k] *= scales[i, 0]
                m[3 * k + 1] *= scales[i, 1]
                m[3 * k + 2] *= scales[i, 2]
        for view in range(viewmats.shape[0]):
            v = viewmats[view]
            fx, fy, cx, cy = Ks[view, 0, 0], Ks[view, 1, 1], Ks[view, 0, 2], Ks[view, 1, 2]
            for i in range(start, stop):
                m = axes[i - start]
                px, py, pz = means[i, 0], means[i, 1], means[i, 2]
                x, y, z = _camera_point(v, px, py, pz)
                seen = False
                if z >= near and z <= far:
                    rz = ONE / z
                    j02 = -fx * rz * _clamped_slope(x * rz, fx, cx, extent_x)
                    j12 = -fy * rz * _clamped_slope(y * rz, fy, cy, extent_y)
                    j00, j11 = fx * rz, fy * rz
                    p00, p01, p02, p10, p11, p12 = _screen_rows(v, j00, j02, j11, j12)
                    b00, b01, b02 = _row_times(p00, p01, p02, m)
                    b10, b11, b12 = _row_times(p10, p11, p12, m)
                    a = b00 * b00 + b01 * b01 + b02 * b02
                    b = b00 * b10 + b01 * b11 + b02 * b12
                    c = b10 * b10 + b11 * b11 + b12 * b12
                    # Determinant by Cauchy-Binet: a c - b b would lose all digits of a needle.
                    n0, n1, n2 = b01 * b12 - b02 * b11, b02 * b10 - b00 * b12, b00 * b11 - b01 * b10
                    sharp = n0 * n0 + n1 * n1 + n2 * n2
                    det = sharp + eps * (a + c) + eps * eps
                    a += eps
                    c += eps
                    middle = HALF * (a + c)
                    radius = np.ceil(f32(3.0) * sqrt(middle + sqrt(max(f32(0.01), middle * middle - det))))
                    gx, gy = fx * x * rz + cx, fy * y * rz + cy
                    if (
                        det > ZERO and radius > radius_clip and radius < MAX_RADIUS
                        and gx + radius > ZERO and gx - radius < extent_x
                        and gy + radius > ZERO and gy - radius < extent_y
                    ):  # fmt: skip
                        seen = True
                        radii[view, i] = np.int32(radius)
                        means2d[view, i, 0] = gx
                        means2d[view, i, 1] = gy
                        depths[view, i] = z
                        conics[view, i, 0] = c / det
                        conics[view, i, 1] = -b / det
                        conics[view, i, 2] = a / det
                        if antialiased:
                            compensations[view, i] = sqrt(sharp / det)
                if not seen:
                    radii[view, i] = 0
                    means2d[view, i, 0] = ZERO
                    means2d[view, i, 1] = ZERO
                    depths[view, i] = ZERO
                    conics[view, i, 0] = ZERO
                    conics[view, i, 1] = ZERO
                    conics[view, i, 2] = ZERO
                    if antialiased:
                        compensations[view, i] = ZERO


@_kernel
def project_backward(
    first, last, means, quats, scales, viewmats, Ks, width, height, eps2d, antialiased,
    radii, conics, compensations, v_means2d, v_depths, v_conics, v_compensations,
    v_means, v_quats, v_scales,
):  # fmt: skip
    """Adjoint of `project_forward`: sums over views inside, so no two jobs write to the same place."""
    eps = f32(eps2d)
    extent_x, extent_y = f32(width), f32(height)
    with_depth = v_depths.shape[0] > 0
    r = np.empty(9, np.float32)
    m = np.empty(9, np.float32)
    v_m = np.empty(9, np.float32)
    for chunk in range(first, last):
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, means.shape[0])):
            px, py, pz = means[i, 0], means[i, 1], means[i, 2]
            s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
            inverse_norm = _rotation(quats, i, r)
            for k in range(3):
                m[3 * k] = r[3 * k] * s0
                m[3 * k + 1] = r[3 * k + 1] * s1
                m[3 * k + 2] = r[3 * k + 2] * s2
            v_m[:] = ZERO
            v_mean0, v_mean1, v_mean2 = ZERO, ZERO, ZERO
            seen = False
            for view in range(viewmats.shape[0]):
                if radii[view, i] <= 0:
                    continue
                seen = True
                v = viewmats[view]
                fx, fy, cx, cy = Ks[view, 0, 0], Ks[view, 1, 1], Ks[view, 0, 2], Ks[view, 1, 2]
                x, y, z = _camera_point(v, px, py, pz)
                rz = ONE / z
                slope_x, slope_y = x * rz, y * rz
                clamped_x = _clamped_slope(slope_x, fx, cx, extent_x)
                clamped_y = _clamped_slope(slope_y, fy, cy, extent_y)
                j00, j11, j02, j12 = fx * rz, fy * rz, -fx * rz * clamped_x, -fy * rz * clamped_y
                p00, p01, p02, p10, p11, p12 = _screen_rows(v, j00, j02, j11, j12)
                b00, b01, b02 = _row_times(p00, p01, p02, m)
                b10, b11, b12 = _row_times(p10, p11, p12, m)

                # Covariance from conic: d(M^-1) = -M^-1 dM M^-1.
                a, b, c = conics[view, i, 0], conics[view, i, 1], conics[view, i, 2]
                va, vb, vc = v_conics[view, i, 0], HALF * v_conics[view, i, 1], v_conics[view, i, 2]
                h00, h01, h10, h11 = a * va + b * vb, a * vb + b * vc, b * va + c * vb, b * vb + c * vc
                g00, g01, g11 = -(h00 * a + h01 * b), -(h00 * b + h01 * c), -(h10 * b + h11 * c)
                if antialiased:
                    n0, n1, n2 = b01 * b12 - b02 * b11, b02 * b10 - b00 * b12, b00 * b11 - b01 * b10
                    trace = b00 * b00 + b01 * b01 + b02 * b02 + b10 * b10 + b11 * b11 + b12 * b12
                    det = n0 * n0 + n1 * n1 + n2 * n2 + eps * trace + eps * eps
                    compensation = compensations[view, i]
                    # max: the derivative of the square root is infinite at a flat splat.
                    v_square = v_compensations[view, i] * HALF / max(compensation, f32(1e-6))
                    rest = ONE - compensation * compensation
                    g00 += v_square * (rest * a - eps / det)
                    g01 += v_square * rest * b
                    g11 += v_square * (rest * c - eps / det)

                # covariance = B B^T with B = P M, P = J R_view.
                g00, g01, g11 = TWO * g00, TWO * g01, TWO * g11
                v_b00, v_b01, v_b02 = g00 * b00 + g01 * b10, g00 * b01 + g01 * b11, g00 * b02 + g01 * b12
                v_b10, v_b11, v_b12 = g01 * b00 + g11 * b10, g01 * b01 + g11 * b11, g01 * b02 + g11 * b12
                v_m[0] += p00 * v_b00 + p10 * v_b10
                v_m[1] += p00 * v_b01 + p10 * v_b11
                v_m[2] += p00 * v_b02 + p10 * v_b12
                v_m[3] += p01 * v_b00 + p11 * v_b10
                v_m[4] += p01 * v_b01 + p11 * v_b11
                v_m[5] += p01 * v_b02 + p11 * v_b12
                v_m[6] += p02 * v_b00 + p12 * v_b10
                v_m[7] += p02 * v_b01 + p12 * v_b11
                v_m[8] += p02 * v_b02 + p12 * v_b12
                v_p00, v_p01, v_p02 = _times_row(v_b00, v_b01, v_b02, m)
                v_p10, v_p11, v_p12 = _times_row(v_b10, v_b11, v_b12, m)
                v_j00 = v_p00 * v[0, 0] + v_p01 * v[0, 1] + v_p02 * v[0, 2]
                v_j02 = v_p00 * v[2, 0] + v_p01 * v[2, 1] + v_p02 * v[2, 2]
                v_j11 = v_p10 * v[1, 0] + v_p11 * v[1, 1] + v_p12 * v[1, 2]
                v_j12 = v_p10 * v[2, 0] + v_p11 * v[2, 1] + v_p12 * v[2, 2]

                v_u, v_v = v_means2d[view, i, 0], v_means2d[view, i, 1]
                rz2 = rz * rz
                v_x, v_y = fx * rz * v_u, fy * rz * v_v
                v_z = -(fx * x * v_u + fy * y * v_v) * rz2 - fx * rz2 * v_j00 - fy * rz2 * v_j11
                v_z += fx * rz2 * clamped_x * v_j02 + fy * rz2 * clamped_y * v_j12
                if clamped_x == slope_x:
                    v_x -= fx * rz2 * v_j02
                    v_z += fx * rz2 * clamped_x * v_j02
                if clamped_y == slope_y:
                    v_y -= fy * rz2 * v_j12
                    v_z += fy * rz2 * clamped_y * v_j12
                if with_depth:
                    v_z += v_depths[view, i]
                v_mean0 += v[0, 0] * v_x + v[1, 0] * v_y + v[2, 0] * v_z
                v_mean1 += v[0, 1] * v_x + v[1, 1] * v_y + v[2, 1] * v_z
                v_mean2 += v[0, 2] * v_x + v[1, 2] * v_y + v[2, 2] * v_z

            v_means[i, 0], v_means[i, 1], v_means[i, 2] = v_mean0, v_mean1, v_mean2
            if not seen:  # written out, for a broken Gaussian would make NaN of its zeros
                v_scales[i] = ZERO
                v_quats[i] = ZERO
                continue
            for k in range(3):
                v_scales[i, k] = v_m[k] * r[k] + v_m[3 + k] * r[3 + k] + v_m[6 + k] * r[6 + k]
            for k in range(3):
                v_m[3 * k] *= s0
                v_m[3 * k + 1] *= s1
                v_m[3 * k + 2] *= s2
            w, x = quats[i, 0] * inverse_norm, quats[i, 1] * inverse_norm
            y, z = quats[i, 2] * inverse_norm, quats[i, 3] * inverse_norm
            v_w = TWO * (x * (v_m[7] - v_m[5]) + y * (v_m[2] - v_m[6]) + z * (v_m[3] - v_m[1]))
            v_x = TWO * (
                -TWO * x * (v_m[4] + v_m[8]) + y * (v_m[1] + v_m[3]) + z * (v_m[2] + v_m[6]) + w * (v_m[7] - v_m[5])
            )
            v_y = TWO * (
                x * (v_m[1] + v_m[3]) - TWO * y * (v_m[0] + v_m[8]) + z * (v_m[5] + v_m[7]) + w * (v_m[2] - v_m[6])
            )
            v_z = TWO * (
                x * (v_m[2] + v_m[6]) + y * (v_m[5] + v_m[7]) - TWO * z * (v_m[0] + v_m[4]) + w * (v_m[3] - v_m[1])
            )
            along = w * v_w + x * v_x + y * v_y + z * v_z
            v_quats[i, 0] = (v_w - along * w) * inverse_norm
            v_quats[i, 1] = (v_x - along * x) * inverse_norm
            v_quats[i, 2] = (v_y - along * y) * inverse_norm
            v_quats[i, 3] = (v_z - along * z) * inverse_norm


# --- spherical harmonics ----------------------------------------------------------------------------------------


@_helper
def _harmonics(degree, x, y, z, basis):
    """The (degree + 1)^2 real spherical harmonics at a unit direction (Sloan, JCGT 2013, signs as in 3DGS)."""
    basis[0] = f32(0.28209479)
    if degree >= 1:
        basis[1] = f32(-0.48860251) * y
        basis[2] = f32(0.48860251) * z
        basis[3] = f32(-0.48860251) * x
    if degree >= 2:
        basis[4] = f32(1.09254843) * x * y
        basis[5] = f32(-1.09254843) * y * z
        basis[6] = f32(0.94617470) * z * z - f32(0.31539157)
        basis[7] = f32(-1.09254843) * x * z
        basis[8] = f32(0.54627422) * (x * x - y * y)
    if degree >= 3:
        planar = f32(0.45704580) - f32(2.28522900) * z * z
        basis[9] = f32(-0.59004359) * y * (f32(3.0) * x * x - y * y)
        basis[10] = f32(2.89061144) * x * y * z
        basis[11] = planar * y
        basis[12] = z * (f32(1.86588166) * z * z - f32(1.11952900))
        basis[13] = planar * x
        basis[14] = f32(1.44530572) * z * (x * x - y * y)
        basis[15] = f32(-0.59004359) * x * (x * x - f32(3.0) * y * y)


@_helper
def _harmonics_adjoint(degree, x, y, z, t):
    """Gradient by direction of sum_k t[k] basis[k], at a unit direction and before its normalisation."""
    v_x, v_y, v_z = ZERO, ZERO, ZERO
    if degree >= 1:
        v_x -= f32(0.48860251) * t[3]
        v_y -= f32(0.48860251) * t[1]
        v_z += f32(0.48860251) * t[2]
    if degree >= 2:
        v_x += f32(1.09254843) * (y * t[4] - z * t[7] + x * t[8])
        v_y += f32(1.09254843) * (x * t[4] - z * t[5] - y * t[8])
        v_z += f32(1.09254843) * (-y * t[5] - x * t[7]) + f32(1.89234939) * z * t[6]
    if degree >= 3:
        planar = f32(0.45704580) - f32(2.28522900) * z * z
        v_x += f32(-3.54026154) * x * y * t[9] + f32(2.89061144) * (y * z * t[10] + x * z * t[14])
        v_x += planar * t[13] + f32(-1.77013077) * (x * x - y * y) * t[15]
        v_y += f32(-1.77013077) * (x * x - y * y) * t[9] + f32(2.89061144) * (x * z * t[10] - y * z * t[14])
        v_y += planar * t[11] + f32(3.54026154) * x * y * t[15]
        v_z += f32(2.89061144) * x * y * t[10] - f32(4.57045799) * z * (y * t[11] + x * t[13])
        v_z += (f32(5.59764499) * z * z - f32(1.11952900)) * t[12] + f32(1.44530572) * (x * x - y * y) * t[14]
    return v_x, v_y, v_z


@_kernel
def shade_forward(first, last, degree, means, coefficients, centers, radii, colors):
    """Colour of each Gaussian as each view sees it, max(harmonics + 0.5, 0); zero where culled."""
    bases = (degree + 1) * (degree + 1)
    planes = np.zeros(3 * 16, np.float32)
    basis = np.zeros(16, np.float32)
    for chunk in range(first, last):
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, means.shape[0])):
            for k in range(bases):
                planes[k] = coefficients[i, k, 0]
                planes[k + 16] = coefficients[i, k, 1]
                planes[k + 32] = coefficients[i, k, 2]
            for view in range(centers.shape[0]):
                red, green, blue = ZERO, ZERO, ZERO
                if radii[view, i] > 0:
                    x, y, z = (
                        means[i, 0] - centers[view, 0],
                        means[i, 1] - centers[view, 1],
                        means[i, 2] - centers[view, 2],
                    )
                    inverse = ONE / sqrt(x * x + y * y + z * z)
                    _harmonics(degree, x * inverse, y * inverse, z * inverse, basis)
                    for k in range(16):
                        red += basis[k] * planes[k]
                        green += basis[k] * planes[k + 16]
                        blue += basis[k] * planes[k + 32]
                    red, green, blue = max(red + HALF, ZERO), max(green + HALF, ZERO), max(blue + HALF, ZERO)
                colors[view, i, 0] = red
                colors[view, i, 1] = green
                colors[view, i, 2] = blue


@_kernel
def shade_backward(first, last, degree, means, coefficients, centers, radii, colors, v_colors, v_means, v_coefficients):
    """Adjoint of `shade_forward`; coefficients above the degree in use get a zero gradient."""
    bases = (degree + 1) * (degree + 1)
    planes = np.zeros(3 * 16, np.float32)
    v_planes = np.zeros(3 * 16, np.float32)
    basis = np.zeros(16, np.float32)
    t = np.zeros(16, np.float32)
    for chunk in range(first, last):
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, means.shape[0])):
            for k in range(bases):
                planes[k] = coefficients[i, k, 0]
                planes[k + 16] = coefficients[i, k, 1]
                planes[k + 32] = coefficients[i, k, 2]
            v_planes[:] = ZERO
            v_mean0, v_mean1, v_mean2 = ZERO, ZERO, ZERO
            for view in range(centers.shape[0]):
                if radii[view, i] <= 0:
                    continue
                # No gradient through the clamp at black.
                red = v_colors[view, i, 0] if colors[view, i, 0] > ZERO else ZERO
                green = v_colors[view, i, 1] if colors[view, i, 1] > ZERO else ZERO
                blue = v_colors[view, i, 2] if colors[view, i, 2] > ZERO else ZERO
                x, y, z = means[i, 0] - centers[view, 0], means[i, 1] - centers[view, 1], means[i, 2] - centers[view, 2]
                inverse = ONE / sqrt(x * x + y * y + z * z)
                x, y, z = x * inverse, y * inverse, z * inverse
                _harmonics(degree, x, y, z, basis)
                for k in range(16):
                    v_planes[k] += basis[k] * red
                    v_planes[k + 16] += basis[k] * green
                    v_planes[k + 32] += basis[k] * blue
                    t[k] = planes[k] * red + planes[k + 16] * green + planes[k + 32] * blue
                v_x, v_y, v_z = _harmonics_adjoint(degree, x, y, z, t)
                along = x * v_x + y * v_y + z * v_z
                v_mean0 += (v_x - along * x) * inverse
                v_mean1 += (v_y - along * y) * inverse
                v_mean2 += (v_z - along * z) * inverse
            v_means[i, 0], v_means[i, 1], v_means[i, 2] = v_mean0, v_mean1, v_mean2
            for k in range(bases):
                v_coefficients[i, k, 0] = v_planes[k]
                v_coefficients[i, k, 1] = v_planes[k + 16]
                v_coefficients[i, k, 2] = v_planes[k + 32]
            for k in range(bases, coefficients.shape[1]):
                v_coefficients[i, k, 0] = ZERO
                v_coefficients[i, k, 1] = ZERO
                v_coefficients[i, k, 2] = ZERO


# --- order and bins ---------------------------------------------------------------------------------------------


@_kernel
def sort_by_depth(
    first, last, radii, means2d, depth_bits, log_opacities, tiles_x, tiles_y, splits,
    counts, slot_of_gaussian, slot_of_rank,
):  # fmt: skip
    """Order the visible splats of each view by depth, and give each a slot in memory.

    Slots are grouped by the tile of the centre, front to back inside: neighbours on the screen are neighbours in
    memory, without which the blending loops thrash the cache. A job is a view. `slot_of_gaussian` also carries the
    part of the depth order ("split") that the splat falls into, above bit 26; it is -1 for splats that are not drawn.
    """
    gaussians = radii.shape[1]
    pairs = np.empty(gaussians, np.uint64)
    swap = np.empty(gaussians, np.uint64)
    center_tile = np.empty(gaussians, np.int32)
    histogram = np.empty((3, 2048), np.int64)
    tile_cursor = np.empty(tiles_x * tiles_y + 1, np.int32)
    for view in range(first, last):
        histogram[:] = 0
        tile_cursor[:] = 0
        view_opacities = log_opacities[view if log_opacities.shape[0] > 1 else 0]
        count = 0
        for i in range(gaussians):
            slot_of_gaussian[view, i] = -1
            if radii[view, i] <= 0:
                continue
            if not (view_opacities[i] >= MIN_EXPONENT and view_opacities[i] <= MAX_LOG_OPACITY):
                continue
            key = depth_bits[view, i]
            pairs[count] = (u64(key) << u64(32)) | u64(i)
            histogram[0, key & np.uint32(2047)] += 1
            histogram[1, (key >> np.uint32(11)) & np.uint32(2047)] += 1
            histogram[2, key >> np.uint32(22)] += 1
            tile_x = int(min(max(means2d[view, i, 0], ZERO), f32(tiles_x * TILE - 1))) // TILE
            tile_y = int(min(max(means2d[view, i, 1], ZERO), f32(tiles_y * TILE - 1))) // TILE
            center_tile[i] = tile_y * tiles_x + tile_x
            tile_cursor[center_tile[i] + 1] += 1
            count += 1
        counts[view] = count
        for digit in range(3):
            total = 0
            for value in range(2048):
                here = histogram[digit, value]
                histogram[digit, value] = total
                total += here
            shift = u64(32 + 11 * digit)
            for k in range(count):
                pair = pairs[k]
                value = (pair >> shift) & u64(2047)
                swap[histogram[digit, value]] = pair
                histogram[digit, value] += 1
            pairs, swap = swap, pairs
        for tile in range(tiles_x * tiles_y):
            tile_cursor[tile + 1] += tile_cursor[tile]
        for rank in range(count):
            i = np.int64(pairs[rank] & u64(0xFFFFFFFF))
            tile = center_tile[i]
            slot = tile_cursor[tile]
            tile_cursor[tile] += 1
            slot_of_rank[view, rank] = slot
            slot_of_gaussian[view, i] = slot | np.int32(rank * splits // count) << np.int32(26)


@_helper
def _covered_tiles(rows, base):
    """Tiles x0..x1, y0..y1 of the box where a splat may be seen."""
    x0, x1 = int(rows[base + LOW_X]) >> 4, (int(rows[base + HIGH_X]) >> 4) + 1
    y0, y1 = int(rows[base + LOW_Y]) >> 4, (int(rows[base + HIGH_Y]) >> 4) + 1
    return x0, x1, y0, y1


@_helper
def _covered_in_row(rows, base, tile_y, x0, x1, y0, y1):
    """Tiles of one tile row that the 1/255 ellipse meets, within the splat's box."""
    if x1 - x0 == 1 or y1 - y0 == 1:
        return x0, x1
    gx, gy, l1, l2, l3 = rows[base + GX], rows[base + GY], rows[base + L1], rows[base + L2], rows[base + L3]
    reach, at_extent = rows[base + LOG_OPACITY] - MIN_EXPONENT, rows[base + Y_AT_X_EXTENT]
    # dy of the row's pixel centres
    high = gy - f32(tile_y * TILE) - HALF + PAD
    low = gy - f32(tile_y * TILE + TILE) + HALF - PAD
    dy = min(max(at_extent, low), high)
    right = (sqrt(max(reach - l3 * l3 * dy * dy, ZERO)) - l2 * dy) / l1  # largest dx = centre - pixel: leftmost pixel
    dy = min(max(-at_extent, low), high)
    left = (-sqrt(max(reach - l3 * l3 * dy * dy, ZERO)) - l2 * dy) / l1
    first = int(max(np.ceil(gx - right - PAD - HALF), f32(x0 * TILE))) >> 4
    last = int(min(np.floor(gx - left + PAD - HALF), f32(x1 * TILE - 1))) >> 4
    return first, max(first, last + 1)


@_kernel
def pack_splats(
    first, last, parts, tiles_x, tiles_y, band_of_row, radii, means2d, conics, log_opacities, colors, depths,
    slot_of_gaussian, row_start, rows, tile_counts, band_counts, touched,
):  # fmt: skip
    """Write one cache line per drawn splat; count the tiles and the bands of tile rows that it covers.

    A job is (view, part of the Gaussians), with its own `tile_counts` for each split of the depth order.
    """
    gaussians = radii.shape[1]
    size, end_x, end_y = f32(TILE), f32(tiles_x * TILE), f32(tiles_y * TILE)
    for job in range(first, last):
        view, part = job // parts, job % parts
        counts = tile_counts[view, part]
        view_opacities = log_opacities[view if log_opacities.shape[0] > 1 else 0]
        counts[:] = 0
        stop, touched_until, touch = (part + 1) * gaussians // parts, 0, ZERO
        for i in range(part * gaussians // parts, stop):
            if i >= touched_until:
                touched_until = min(i + BLOCK, stop)
                for ahead in range(i, touched_until):
                    code = slot_of_gaussian[view, ahead]
                    touch += rows[(row_start[view] + (code & 0x3FFFFFF)) * ROW] if code >= 0 else ZERO
            code = slot_of_gaussian[view, i]
            if code < 0:
                continue
            row = row_start[view] + (code & 0x3FFFFFF)
            base = row * ROW
            gx, gy, radius = means2d[view, i, 0], means2d[view, i, 1], f32(radii[view, i])
            a, b, c = conics[view, i, 0], conics[view, i, 1], conics[view, i, 2]
            l1 = sqrt(a) * f32(0.25)
            l2 = b / (f32(16.0) * l1)
            l3 = f32(0.25) * sqrt(max(c - b * b / a, MIN_PRECISION))
            log_opacity = view_opacities[i]
            reach = max(log_opacity - MIN_EXPONENT, ZERO)
            slant = sqrt(l2 * l2 + l3 * l3)
            extent_x = sqrt(reach) * slant / (l1 * l3) + PAD
            extent_y = sqrt(reach) / l3 + PAD
            # gsplat draws in the tiles that a square of 3 sigma touches; of those, the box of the 1/255 ellipse.
            low_x = max(np.floor((gx - radius) / size) * size, np.ceil(gx - extent_x - HALF), ZERO)
            low_y = max(np.floor((gy - radius) / size) * size, np.ceil(gy - extent_y - HALF), ZERO)
            high_x = min(np.ceil((gx + radius) / size) * size, np.floor(gx + extent_x + HALF), end_x) - ONE
            high_y = min(np.ceil((gy + radius) / size) * size, np.floor(gy + extent_y + HALF), end_y) - ONE
            if low_x > high_x or low_y > high_y:
                low_x, high_x, low_y, high_y = ZERO, -ONE, ZERO, -ONE
            rows[base + GX] = gx
            rows[base + GY] = gy
            rows[base + L1] = l1
            rows[base + L2] = l2
            rows[base + L3] = l3
            rows[base + LOG_OPACITY] = log_opacity
            rows[base + LOW_X] = low_x
            rows[base + HIGH_X] = high_x
            rows[base + LOW_Y] = low_y
            rows[base + HIGH_Y] = high_y
            rows[base + Y_AT_X_EXTENT] = -sqrt(reach) * l2 / (l3 * slant)
            split = code >> 26
            x0, x1, y0, y1 = _covered_tiles(rows, base)
            _write_colors(rows, base + COLOR, colors, depths, view, i)
            rows[base + FIRST_BAND] = f32(band_of_row[y0])
            band_counts[row] = band_of_row[y1 - 1] - band_of_row[y0] + 1 if y0 < y1 else 0
            for tile_y in range(y0, y1):
                left, right = _covered_in_row(rows, base, tile_y, x0, x1, y0, y1)
                for tile_x in range(left, right):
                    counts[split, tile_y * tiles_x + tile_x] += 1
        touched[job] = touch


@_helper
def _write_colors(rows, at, colors, depths, view, i):
    """Colours of Gaussian i (of all views, or of this one), then its depth if there are depths, then zeros."""
    shared = view if colors.shape[0] > 1 else 0
    channels = colors.shape[2]
    for k in range(CHANNELS):
        rows[at + k] = colors[shared, i, k] if k < channels else ZERO
    if depths.shape[0] > 0:
        rows[at + channels] = depths[view, i]


@_kernel
def pack_colors(first, last, colors, depths, slot_of_gaussian, row_start, rows):
    """Replace the colours of packed splats. A job is a chunk."""
    for chunk in range(first, last):
        for view in range(slot_of_gaussian.shape[0]):
            for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, slot_of_gaussian.shape[1])):
                code = slot_of_gaussian[view, i]
                if code >= 0:
                    at = (row_start[view] + (code & 0x3FFFFFF)) * ROW + COLOR
                    _write_colors(rows, at, colors, depths, view, i)


@_kernel
def fill_bins(first, last, splits, tiles_x, counts, slot_of_rank, row_start, rows, cursors, bins, touched):
    """List each tile's splats front to back. A job is (view, part of the depth order), so that no list is sorted."""
    for job in range(first, last):
        view, split = job // splits, job % splits
        cursor = cursors[view, split]
        count = counts[view]
        # The ranks r with r * splits // count == split.
        start, stop = (split * count + splits - 1) // splits, ((split + 1) * count + splits - 1) // splits
        touched_until, touch = 0, ZERO
        for rank in range(start, stop):
            if rank >= touched_until:
                touched_until = min(rank + BLOCK, stop)
                for ahead in range(rank, touched_until):
                    touch += rows[(row_start[view] + slot_of_rank[view, ahead]) * ROW]
            slot = slot_of_rank[view, rank]
            base = (row_start[view] + slot) * ROW
            x0, x1, y0, y1 = _covered_tiles(rows, base)
            for tile_y in range(y0, y1):
                left, right = _covered_in_row(rows, base, tile_y, x0, x1, y0, y1)
                for tile_x in range(left, right):
                    tile = tile_y * tiles_x + tile_x
                    bins[cursor[tile]] = slot
                    cursor[tile] += 1
        touched[job] = touch


# --- blending ---------------------------------------------------------------------------------------------------


@_helper
def _aligned(count):
    """A float32 buffer that starts on a cache line: a 64-byte access across two lines costs double."""
    buffer = np.empty(count + ROW, np.float32)
    skip = -(buffer.ctypes.data // 4) % ROW
    return buffer[skip : skip + count]


@_kernel
def _open_tile(tile, x, y, width, height):
    """Full transmittance and no colour; pixels outside the image are done at once."""
    tile[:] = ZERO
    for p in range(PIXELS):
        tile[p] = ONE if x + p % TILE < width and y + p // TILE < height else -ONE
        tile[7 * PIXELS + p] = f32(p % TILE) + HALF


@_helper
def _line_is_open(tile, line):
    highest = -ONE
    for p in range(u64(line) * U_TILE, u64(line + 1) * U_TILE):
        highest = tile[p] if tile[p] > highest else highest
    return highest > ZERO


@_kernel
def _blend(tile, lines, rows, start_row, bins, at, end, x, y, bottom):
    """Composite splats at..end of the list over the tile at x, y; returns where the tile was full, else `end`.

    The whole list in one call, for each call counts references to its arrays, which costs as much as a splat.
    """
    _prefer_512_bits()  # pyright: ignore[reportCallIssue]
    line_count = u64(len(lines)) // u64(2)  # 16; a constant would be unrolled before it is vectorised
    top = 0
    for k in range(at, end):
        if (k - at) % PAUSE == PAUSE - 1:
            while top < bottom and not _line_is_open(tile, top):
                top += 1
            while top < bottom and not _line_is_open(tile, bottom - 1):
                bottom -= 1
            if top == bottom:
                return k
        base = u64(start_row + bins[u64(k)]) * U_ROW
        low, high = max(int(rows[base + u64(LOW_Y)]) - y, top), min(int(rows[base + u64(HIGH_Y)]) + 1 - y, bottom)
        gx, gy = rows[base + u64(GX)] - f32(x), rows[base + u64(GY)] - f32(y)
        l1, l2, l3 = rows[base + u64(L1)], rows[base + u64(L2)], rows[base + u64(L3)]
        log_opacity = rows[base + u64(LOG_OPACITY)]
        c0, c1 = rows[base + u64(COLOR)], rows[base + u64(COLOR + 1)]
        c2, c3 = rows[base + u64(COLOR + 2)], rows[base + u64(COLOR + 3)]
        for line in range(line_count):
            dy = gy - tile[line + PX]
            lines[line] = l1 * gx + l2 * dy
            lines[line + U_TILE] = log_opacity - (l3 * dy) * (l3 * dy)
        for line in range(u64(low), u64(high)):
            offset, peak = lines[line], lines[line + U_TILE]
            for column in range(U_TILE):
                p = line * U_TILE + column
                across = offset - l1 * tile[p + PX]
                e = peak - across * across
                value = ONE + e * (E1 + e * (E2 + e * (E3 + e * (E4 + e * E5))))
                value *= value
                value *= value
                value *= value
                alpha = value if value < MAX_ALPHA else MAX_ALPHA
                alpha = alpha if e >= MIN_EXPONENT else ZERO
                before = tile[p + T]
                weight = alpha * before
                after = before - weight
                # A pixel that would fall to 1e-4 ends before this splat; done pixels are below zero.
                weight = weight if after > MIN_TRANSMITTANCE else ZERO
                tile[p + T] = after if after > MIN_TRANSMITTANCE else -abs(before)
                tile[p + P0] += weight * c0
                tile[p + P1] += weight * c1
                tile[p + P2] += weight * c2
                tile[p + P3] += weight * c3
    return end


@_kernel
def blend_forward(
    first, last, tiles_x, tiles_y, width, height, row_start, rows, bin_start, bins, backgrounds, expected_depth,
    image, alphas, bin_stop,
):  # fmt: skip
    """Render tiles front to back. A job is a tile of a view; `bin_stop` remembers where it was full."""
    _prefer_512_bits()  # pyright: ignore[reportCallIssue]
    tiles = tiles_x * tiles_y
    channels = image.shape[3]
    tile, lines = _aligned(PLANES * PIXELS), _aligned(2 * TILE)
    for job in range(first, last):
        view, x, y = job // tiles, (job % tiles) % tiles_x * TILE, (job % tiles) // tiles_x * TILE
        _open_tile(tile, x, y, width, height)
        start, end = bin_start[job], bin_start[job + 1]
        bin_stop[job] = _blend(tile, lines, rows, row_start[view], bins, start, end, x, y, min(TILE, height - y))
        for line in range(min(TILE, height - y)):
            for column in range(min(TILE, width - x)):
                p = line * TILE + column
                rest = abs(tile[p])
                alphas[view, y + line, x + column, 0] = ONE - rest
                for k in range(channels):
                    value = tile[(1 + k) * PIXELS + p] + rest * backgrounds[view, k]
                    if expected_depth and k == channels - 1:
                        value /= max(ONE - rest, f32(1e-10))
                    image[view, y + line, x + column, k] = value


@_kernel
def _blend_adjoint(
    tile, lines, sums, rows, start_row, bins, at, end, x, y, bottom, band, band_ends, gradients, absgrad
):  # fmt: skip
    """Replay `_blend` and add each splat's sums of s, s dx, s dy, s dx^2, s dx dy, s dy^2 and of the four colours.

    s = alpha dL/dalpha. What lies behind a splat is not recovered by dividing transmittances: REMAINDER starts as
    all that reaches the pixel (colour . v, background and alpha terms) and loses each splat's part in turn.
    """
    _prefer_512_bits()  # pyright: ignore[reportCallIssue]
    line_count = u64(len(lines)) // u64(4)
    top = 0
    for k in range(at, end):
        if (k - at) % PAUSE == PAUSE - 1:
            while top < bottom and not _line_is_open(tile, top):
                top += 1
            while top < bottom and not _line_is_open(tile, bottom - 1):
                bottom -= 1
        row = start_row + bins[u64(k)]
        base = u64(row) * U_ROW
        low, high = max(int(rows[base + u64(LOW_Y)]) - y, top), min(int(rows[base + u64(HIGH_Y)]) + 1 - y, bottom)
        if low >= high:
            continue
        gx, gy = rows[base + u64(GX)] - f32(x), rows[base + u64(GY)] - f32(y)
        l1, l2, l3 = rows[base + u64(L1)], rows[base + u64(L2)], rows[base + u64(L3)]
        log_opacity = rows[base + u64(LOG_OPACITY)]
        c0, c1 = rows[base + u64(COLOR)], rows[base + u64(COLOR + 1)]
        c2, c3 = rows[base + u64(COLOR + 2)], rows[base + u64(COLOR + 3)]
        for column in range(u64(7 * TILE)):
            sums[column] = ZERO
        for line in range(line_count):
            dy = gy - tile[line + PX]
            lines[line] = l1 * gx + l2 * dy
            lines[line + U_TILE] = log_opacity - (l3 * dy) * (l3 * dy)
            lines[line + u64(2 * TILE)] = dy
            lines[line + u64(3 * TILE)] = dy * dy
        for line in range(u64(low), u64(high)):
            offset, peak = lines[line], lines[line + U_TILE]
            dy, dy_squared = lines[line + u64(2 * TILE)], lines[line + u64(3 * TILE)]
            for column in range(U_TILE):
                p = line * U_TILE + column
                across = offset - l1 * tile[p + PX]
                e = peak - across * across
                value = ONE + e * (E1 + e * (E2 + e * (E3 + e * (E4 + e * E5))))
                value *= value
                value *= value
                value *= value
                alpha = value if value < MAX_ALPHA else MAX_ALPHA
                alpha = alpha if e >= MIN_EXPONENT else ZERO
                before = tile[p + T]
                weight = alpha * before
                after = before - weight
                weight = weight if after > MIN_TRANSMITTANCE else ZERO
                alpha = alpha if after > MIN_TRANSMITTANCE else ZERO
                tile[p + T] = after if after > MIN_TRANSMITTANCE else ZERO
                own = weight * (c0 * tile[p + P0] + c1 * tile[p + P1] + c2 * tile[p + P2] + c3 * tile[p + P3])
                behind = tile[p + REMAINDER] - own
                tile[p + REMAINDER] = behind
                # 1 / (1 - alpha) from the float's bits and two steps of Halley: division would take longest of all.
                rest = f32(ONE - alpha)
                inverse = np.uint32(FLIP - rest.view(np.uint32)).view(np.float32)
                error = ONE - rest * inverse
                inverse += inverse * (error + error * error)
                error = ONE - rest * inverse
                inverse += inverse * (error + error * error)
                share = own - behind * (alpha * inverse)
                share = share if value <= MAX_ALPHA else ZERO
                tile[p + SHARE] = share
                # Sums over lines: LLVM keeps all seven in registers.
                sums[column] += share
                sums[column + U_TILE] += share * dy
                sums[column + u64(2 * TILE)] += share * dy_squared
                sums[column + u64(3 * TILE)] += weight * tile[p + P0]
                sums[column + u64(4 * TILE)] += weight * tile[p + P1]
                sums[column + u64(5 * TILE)] += weight * tile[p + P2]
                sums[column + u64(6 * TILE)] += weight * tile[p + P3]
        s, sx, sy, sxx, sxy, syy = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
        v0, v1, v2, v3 = ZERO, ZERO, ZERO, ZERO
        for column in range(U_TILE):
            dx = gx - tile[column + PX]
            here = sums[column]
            s += here
            sx += here * dx
            sxx += here * dx * dx
            here = sums[column + U_TILE]
            sy += here
            sxy += here * dx
            syy += sums[column + u64(2 * TILE)]
            v0 += sums[column + u64(3 * TILE)]
            v1 += sums[column + u64(4 * TILE)]
            v2 += sums[column + u64(5 * TILE)]
            v3 += sums[column + u64(6 * TILE)]
        first = band_ends[u64(row) - U1] if row > 0 else 0
        g = u64(first + band - int(rows[base + u64(FIRST_BAND)])) * U_ROW
        gradients[g] += s
        gradients[g + u64(1)] += sx
        gradients[g + u64(2)] += sy
        gradients[g + u64(3)] += sxx
        gradients[g + u64(4)] += sxy
        gradients[g + u64(5)] += syy
        gradients[g + u64(6)] += v0
        gradients[g + u64(7)] += v1
        gradients[g + u64(8)] += v2
        gradients[g + u64(9)] += v3
        if absgrad:
            shift_x, shift_y = _absolute_shift(tile, rows, base, gx, gy, low, high)
            gradients[g + u64(10)] += shift_x
            gradients[g + u64(11)] += shift_y


@_kernel
def _absolute_shift(tile, rows, base, gx, gy, low, high):
    """Sum over pixels of |dL/dmean2d| (AbsGS, arXiv:2404.10484), from the shares that `_blend_adjoint` left."""
    l1, l2, l3 = rows[base + u64(L1)], rows[base + u64(L2)], rows[base + u64(L3)]
    a, b, c = f32(16.0) * l1 * l1, f32(16.0) * l1 * l2, f32(16.0) * (l2 * l2 + l3 * l3)
    shift_x, shift_y = ZERO, ZERO
    for line in range(low, high):
        dy = gy - (f32(line) + HALF)
        for column in range(U_TILE):
            share, dx = tile[u64(line) * U_TILE + column + SHARE], gx - tile[column + PX]
            shift_x += abs(share * (a * dx + b * dy))
            shift_y += abs(share * (b * dx + c * dy))
    return shift_x, shift_y


@_kernel
def _open_adjoint_tile(
    tile, view, x, y, width, height, backgrounds, expected_depth, image, alphas, v_image, v_alphas
):  # fmt: skip
    """Load what comes in at each pixel: gradients of the four channels and, as REMAINDER, all they multiply."""
    channels = image.shape[3]
    with_alpha = v_alphas.shape[0] > 0
    _open_tile(tile, x, y, width, height)
    for line in range(min(TILE, height - y)):
        for column in range(min(TILE, width - x)):
            p = line * TILE + column
            alpha = alphas[view, y + line, x + column, 0]
            v_rest = -v_alphas[view, y + line, x + column, 0] if with_alpha else ZERO
            remainder = ZERO
            for k in range(channels):
                value, v_value = image[view, y + line, x + column, k], v_image[view, y + line, x + column, k]
                if expected_depth and k == channels - 1:
                    safe = max(alpha, f32(1e-10))
                    v_value /= safe
                    if alpha > f32(1e-10):
                        v_rest += v_value * value
                    value *= safe
                tile[(1 + k) * PIXELS + p] = v_value
                remainder += v_value * value
            tile[5 * PIXELS + p] = remainder + (ONE - alpha) * v_rest


@_kernel
def clear(first, last, gradients):
    """Zero chunks of rows (in the threads that use them: a page is slow at first touch)."""
    for chunk in range(first, last):
        gradients[chunk * CHUNK * ROW : (chunk + 1) * CHUNK * ROW] = ZERO


@_kernel
def blend_backward(
    first, last, bands, lines_per_band, tiles_x, tiles_y, width, height, row_start, rows, bin_start, bin_stop, bins,
    backgrounds, expected_depth, absgrad, image, alphas, v_image, v_alphas, band_ends, gradients,
):  # fmt: skip
    """Adjoint of `blend_forward`. A job is (view, band of tile rows).

    A splat has one gradient row per band that it covers, the last of them before `band_ends`: no two jobs write to
    the same row, and sums do not depend on the number of threads.
    """
    _prefer_512_bits()  # pyright: ignore[reportCallIssue]
    tile, lines, sums = _aligned(PLANES * PIXELS), _aligned(4 * TILE), _aligned(7 * TILE)
    for job in range(first, last):
        view = job // bands
        band = (job + view) % bands  # rotated, for threads that take every second job to share the busy bands
        start_row = row_start[view]
        for tile_y in range(band * lines_per_band, min((band + 1) * lines_per_band, tiles_y)):
            for tile_x in range(tiles_x):
                x, y = tile_x * TILE, tile_y * TILE
                index = (view * tiles_y + tile_y) * tiles_x + tile_x
                at, end = bin_start[index], bin_stop[index]
                if at == end:
                    continue
                _open_adjoint_tile(
                    tile, view, x, y, width, height, backgrounds, expected_depth, image, alphas, v_image, v_alphas
                )
                _blend_adjoint(
                    tile, lines, sums, rows, start_row, bins, at, end, x, y, min(TILE, height - y), band, band_ends,
                    gradients, absgrad,
                )  # fmt: skip


@_kernel
def collect_gradients(
    first, last, absgrad, slot_of_gaussian, row_start, band_ends, gradients, conics, opacities, compensations,
    v_means2d, v_absolute, v_conics, v_colors, v_depths, v_opacities, v_compensations, touched,
):  # fmt: skip
    """From the sums of `blend_backward` to gradients of what `pack_splats` and `pack_colors` read. A job is a chunk."""
    channels = v_colors.shape[2]
    antialiased = compensations.shape[0] > 0
    with_depth = v_depths.shape[0] > 0
    g = np.empty(12, np.float32)
    for chunk in range(first, last):
        start, stop = chunk * CHUNK, min((chunk + 1) * CHUNK, conics.shape[1])
        v_opacities[start:stop] = ZERO
        if v_colors.shape[0] == 1:
            v_colors[0, start:stop] = ZERO
        for view in range(conics.shape[0]):
            shared = view if v_colors.shape[0] > 1 else 0
            touched_until, touch = start, ZERO
            for i in range(start, stop):
                if i >= touched_until:
                    touched_until = min(i + BLOCK, stop)
                    for ahead in range(i, touched_until):
                        code = slot_of_gaussian[view, ahead]
                        if code >= 0:
                            touch += gradients[max(band_ends[row_start[view] + (code & 0x3FFFFFF)] - 1, 0) * ROW]
                g[:] = ZERO
                v_opacity = ZERO
                code = slot_of_gaussian[view, i]
                if code >= 0:
                    row = row_start[view] + (code & 0x3FFFFFF)
                    for source in range(band_ends[row - 1] if row > 0 else 0, band_ends[row]):
                        for k in range(12):
                            g[k] += gradients[source * ROW + k]
                    v_opacity = g[0] / opacities[i]
                v_means2d[view, i, 0] = -(conics[view, i, 0] * g[1] + conics[view, i, 1] * g[2])
                v_means2d[view, i, 1] = -(conics[view, i, 1] * g[1] + conics[view, i, 2] * g[2])
                v_conics[view, i, 0] = -HALF * g[3]
                v_conics[view, i, 1] = -g[4]
                v_conics[view, i, 2] = -HALF * g[5]
                v_opacities[i] += v_opacity
                if antialiased:
                    v_compensations[view, i] = g[0] / compensations[view, i] if code >= 0 else ZERO
                if v_colors.shape[0] == 1:
                    for k in range(channels):
                        v_colors[0, i, k] += g[6 + k]
                else:
                    for k in range(channels):
                        v_colors[shared, i, k] = g[6 + k]
                if with_depth:
                    v_depths[view, i] = g[6 + channels]
                if absgrad:
                    v_absolute[view, i, 0] = g[10]
                    v_absolute[view, i, 1] = g[11]
            touched[chunk] = touch
