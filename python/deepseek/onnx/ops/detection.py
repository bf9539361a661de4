"""Boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, from_numpy, full, host, number
from .nn import bilinear


def _corners(boxes: Any, centered: int) -> Any:
    """(y0, x0, y1, x1), ordered."""
    if centered:
        x, y, w, h = np.moveaxis(boxes, -1, 0)
        return np.stack([y - h / 2, x - w / 2, y + h / 2, x + w / 2], -1)
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    return np.concatenate([low, high], -1)


def _overlap(box: Any, others: Any) -> Any:
    side = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    shared = side.prod(-1)
    total = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1) - shared
    return np.where(total > 0, shared / np.where(total > 0, total, 1), 0.0)


@op("NonMaxSuppression")
def non_max_suppression(boxes: Tensor, scores: Tensor, most: Any = None, iou_threshold: Any = None, score_threshold: Any = None, *,
                        center_point_box: int = 0) -> Tensor:  # fmt: skip
    limit, threshold = int(number(most, 0)), float(number(iou_threshold, 0.0))
    least = number(score_threshold, None)
    all_boxes, all_scores = host(boxes), host(scores)
    picked = []
    for b, classes in enumerate(all_scores):
        corners = _corners(all_boxes[b], center_point_box)
        for c, row in enumerate(classes):
            kept: list[int] = []
            for i in np.argsort(-row, kind="stable"):
                if len(kept) >= limit or (least is not None and row[i] <= least):
                    break
                if not kept or (_overlap(corners[i], corners[kept]) <= threshold).all():
                    kept.append(int(i))
            picked += [[b, c, i] for i in kept]
    return from_numpy(np.array(picked, dtype=np.int64).reshape(-1, 3))


@op("RoiAlign", since=10)
def roi_align_10(x: Tensor, rois: Tensor, batch: Tensor, **attributes: Any) -> Tensor:
    return roi_align(x, rois, batch, coordinate_transformation_mode="output_half_pixel", **attributes)


@op("RoiAlign", since=16)
def roi_align(x: Tensor, rois: Tensor, batch: Tensor, *, output_height: int = 1, output_width: int = 1, sampling_ratio: int = 0,
              spatial_scale: float = 1.0, mode: str = "avg", coordinate_transformation_mode: str = "half_pixel") -> Tensor:  # fmt: skip
    """Boxes of pixels (n, 4), each read at a grid of points a bin, which are averaged or whose greatest is taken."""
    half = 0.5 if coordinate_transformation_mode == "half_pixel" else 0.0
    height, width = x.shape[2:]
    out = []
    for box, b in zip(host(rois).astype(np.float64), host(batch)):
        x0, y0, x1, y1 = box * spatial_scale - half
        w, h = x1 - x0, y1 - y0
        if not half:
            w, h = max(w, 1.0), max(h, 1.0)
        gh = sampling_ratio or int(np.ceil(h / output_height))
        gw = sampling_ratio or int(np.ceil(w / output_width))
        ys = y0 + (np.arange(output_height * gh) + 0.5) * h / (output_height * gh)
        xs = x0 + (np.arange(output_width * gw) + 0.5) * w / (output_width * gw)
        plane = _C.slice(x, 0, int(b), int(b) + 1, 1)
        out.append(_bins(plane, ys, xs, (output_height, gh, output_width, gw), height, width, mode))
    return _C.concat(out, 0) if out else full((0, x.shape[1], output_height, output_width), 0.0, x.dtype)


def _bins(plane: Tensor, ys: Any, xs: Any, grid: tuple[int, int, int, int], height: int, width: int, mode: str) -> Tensor:
    oh, gh, ow, gw = grid
    channels = plane.shape[1]
    inside = ((ys >= -1) & (ys <= height))[:, None] & ((xs >= -1) & (xs <= width))[None, :]
    y, x = np.meshgrid(np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1), indexing="ij")
    flat = _C.reshape(plane, [channels, height * width])
    if mode == "max":
        return _C.reshape(_greatest(flat, y, x, inside, grid, height, width), [1, channels, oh, ow])
    at = [_C.cast(_C.from_array(a.reshape(1, 1, *y.shape).copy()), plane.dtype) for a in (y, x)]
    read = bilinear(_C.reshape(flat, [1, 1, channels, -1]), at[0], at[1], height, width)
    read = _C.where(_C.from_array(inside.reshape(1, 1, 1, *y.shape).copy()), read, full((), 0.0, read.dtype))
    return _C.reshape(_C.mean(_C.reshape(read, [channels, oh, gh, ow, gw]), [2, 4], False), [1, channels, oh, ow])


def _greatest(flat: Tensor, y: Any, x: Any, inside: Any, grid: tuple[int, int, int, int], height: int, width: int) -> Tensor:
    """ONNX's maximum is of the four weighted pixels around each point, not of their sums."""
    oh, gh, ow, gw = grid
    best: Any = None
    y0, x0 = np.floor(y), np.floor(x)
    for dy in (0, 1):
        for dx in (0, 1):
            share = (1 - np.abs(y - y0 - dy)) * (1 - np.abs(x - x0 - dx)) * inside
            index = np.minimum(y0 + dy, height - 1) * width + np.minimum(x0 + dx, width - 1)
            part = _C.take(flat, _C.from_array(index.astype(np.int64)), 1) * _C.cast(_C.from_array(share.copy()), flat.dtype)
            part = _C.amax(_C.reshape(part, [flat.shape[0], oh, gh, ow, gw]), [2, 4], False)
            best = part if best is None else _C.maximum(best, part)
    return best
