"""Three paintings made from nothing, to take styles from: nobody's picture is needed. [256, 256, 3] in [0, 1]."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

SIDE = 256


def strokes(seed: int = 0) -> np.ndarray:
    """A night in long strokes that follow eddies: deep blues, with yellow lights."""
    random = np.random.default_rng(seed)
    height = gaussian_filter(random.standard_normal((SIDE, SIDE)), 24, mode="wrap")
    down, right = np.gradient(height / height.std())
    flow = np.stack([right, -down])  # along the contours
    flow /= np.hypot(*flow) + 1e-6
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    paint = gaussian_filter(random.standard_normal((SIDE, SIDE)), 1.2, mode="wrap")
    streaks = np.zeros_like(paint)
    for way in (1, -1):
        y, x = rows.copy(), columns.copy()
        for _ in range(16):
            streaks += map_coordinates(paint, [y, x], order=1, mode="wrap")
            step = [map_coordinates(part, [y, x], order=1, mode="wrap") for part in flow]
            y, x = y + way * step[0], x + way * step[1]
    streaks /= streaks.std()
    blues = np.array([[0.05, 0.09, 0.28], [0.12, 0.28, 0.60], [0.45, 0.65, 0.85]])
    picture = _between(blues, 0.5 + 0.22 * streaks + 0.1 * gaussian_filter(height, 2) / height.std())
    for _ in range(9):
        y, x, radius = random.uniform(0, SIDE), random.uniform(0, SIDE), random.uniform(12, 22)
        distance = np.hypot((rows - y + SIDE / 2) % SIDE - SIDE / 2, (columns - x + SIDE / 2) % SIDE - SIDE / 2)
        glow = np.exp(-((distance / radius) ** 2)) * (0.75 + 0.25 * np.sin(distance / 1.8))
        glow = np.clip(glow * (1 + 0.15 * streaks), 0, 1)[..., None]
        picture = picture * (1 - glow) + np.array([0.98, 0.85, 0.35]) * glow
    return picture.clip(0, 1)


def dots(seed: int = 0) -> np.ndarray:
    """Thousands of round dabs of pure colour, close together: orange, red, pink, with some teal between them."""
    random = np.random.default_rng(seed)
    palette = np.array([[0.95, 0.55, 0.12], [0.85, 0.2, 0.12], [0.98, 0.78, 0.35], [0.9, 0.5, 0.6], [0.05, 0.5, 0.5]])
    picture = np.ones((SIDE, SIDE, 3)) * np.array([0.93, 0.86, 0.7])
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for _ in range(3000):
        y, x, radius = random.uniform(0, SIDE), random.uniform(0, SIDE), random.uniform(3.5, 6)
        color = palette[random.choice(len(palette), p=[0.3, 0.2, 0.2, 0.1, 0.2])] + 0.04 * random.standard_normal(3)
        top, left = max(0, int(y) - 8), max(0, int(x) - 8)
        near = slice(top, int(y) + 9), slice(left, int(x) + 9)
        inside = np.hypot(rows[near] - y, columns[near] - x) < radius
        picture[near][inside] = color
    return picture.clip(0, 1)


def panes(seed: int = 0) -> np.ndarray:
    """Panes of red, blue, yellow and white between black bars."""
    random = np.random.default_rng(seed)
    picture = np.ones((SIDE, SIDE, 3))
    colors = np.array([[0.85, 0.1, 0.1], [0.1, 0.2, 0.65], [0.97, 0.85, 0.1], [0.95, 0.95, 0.92], [0.95, 0.95, 0.92]])

    def divide(top: int, left: int, bottom: int, right: int) -> None:
        long = max(bottom - top, right - left)
        if long < 36 or (long < 64 and random.random() < 0.35):
            picture[top:bottom, left:right] = colors[random.integers(len(colors))]
            picture[top : top + 3, left:right] = picture[bottom - 3 : bottom, left:right] = 0.05
            picture[top:bottom, left : left + 3] = picture[top:bottom, right - 3 : right] = 0.05
            return
        share = random.uniform(0.35, 0.65)
        if bottom - top > right - left:
            middle = top + int(share * (bottom - top))
            divide(top, left, middle, right)
            divide(middle, left, bottom, right)
        else:
            middle = left + int(share * (right - left))
            divide(top, left, bottom, middle)
            divide(top, middle, bottom, right)

    divide(0, 0, SIDE, SIDE)
    return picture


PAINTINGS = {"strokes": strokes, "dots": dots, "panes": panes}


def _between(colors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours at places from 0 to 1 along a palette."""
    at = np.clip(places, 0, 1) * (len(colors) - 1)
    return np.stack([np.interp(at, range(len(colors)), channel) for channel in colors.T], -1)
