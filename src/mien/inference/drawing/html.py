"""A prediction as a small card for notebooks: the crop and what the heads say."""

from __future__ import annotations

import base64
import dataclasses
import io
from html import escape

from mien.heads import HEADS
from mien.heads.expression import leading
from mien.heads.wording import percent
from mien.inference.drawing.colors import color_of
from mien.schema import Prediction, UInt8Array

_CARD = (
    "display:inline-flex;gap:12px;margin:4px;padding:10px;border:1px solid #8884;"
    "border-radius:8px;font:13px sans-serif;vertical-align:top"
)
_COMMON = {
    *("status", "source", "reason", "frame", "time", "index", "track", "face", "alignment"),
    *("expression", "confidence", "embedding", "crop", "attention", "patches"),
}
"""Fields that are not listed as values; the first ones make the card's title."""


def html_card(prediction: Prediction) -> str:
    """An HTML fragment with the crop inside, so that a notebook needs no other file."""
    title = prediction.status.value
    if prediction.expression is not None and prediction.confidence is not None:
        names = leading(prediction.probabilities) or {prediction.expression: prediction.confidence}
        title = " or ".join(f"{name} {percent(share)}" for name, share in names.items())
    lines = [f"<b>{escape(title)}</b>"]
    details = [prediction.source, prediction.reason]
    if prediction.track is not None:
        details.insert(1, f"person {prediction.track}")
    if prediction.time is not None:
        details.insert(1, f"{prediction.time:.2f} s")
    lines += [f'<span style="opacity:.7">{escape(_text(text))}</span>' for text in details if text]
    for head in HEADS.values():
        bars = head.bars(prediction)
        lines += [
            _bar(name, value, tuple(bars), head.bar_text(value))
            for name, value in _ranked(bars, head.most_bars)
        ]
    lines += [f"{escape(name)}: {escape(value)}" for name, value in _values(prediction).items()]
    picture = "" if prediction.crop is None else f'<img src="{_data_url(prediction.crop)}" alt="">'
    return f'<div style="{_CARD}">{picture}<div>{"<br>".join(lines)}</div></div>'


def _ranked(bars: dict[str, float], most: int) -> list[tuple[str, float]]:
    return sorted(bars.items(), key=lambda pair: -pair[1])[:most]


def _bar(name: str, value: float, names: tuple[str, ...], text: str) -> str:
    color = "rgb({}, {}, {})".format(*color_of(name, names))
    bar = f"display:inline-block;height:8px;width:{round(100 * value)}px;background:{color}"
    label = f'<span style="display:inline-block;width:80px">{escape(name)}</span>'
    return f'{label}<span style="{bar}"></span> {text}'


def _values(prediction: Prediction) -> dict[str, str]:
    """The other numbers and texts of the heads, such as valence or a severity's band."""
    values: dict[str, str] = {}
    for field in dataclasses.fields(prediction):
        value = getattr(prediction, field.name)
        if field.name in _COMMON or value is None or isinstance(value, dict) or value == "":
            continue
        label = field.name.replace("_", " ")
        values[label] = f"{value:.2f}" if isinstance(value, float) else str(value)
    return values


def _data_url(crop: UInt8Array) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(crop).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _text(text: str) -> str:
    # A file name need not be valid text.
    return text.encode("utf-8", "backslashreplace").decode()
