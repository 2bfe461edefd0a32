"""The parts of the routes' descriptions that several of them share."""

from __future__ import annotations

from typing import Any

from mien.serving.problems import ProblemAnswer

_ABOUT = {
    400: "A damaged form.",
    401: "The token is missing or another.",
    403: "A request from a page of somebody else.",
    404: "No such video, or its result has expired.",
    408: "The body came too slowly.",
    409: "The video is not done yet.",
    413: "The body is too large, or has too many files.",
    415: "A body of another type.",
    421: "The host has another name.",
    422: "No picture of the request can be read, or a parameter is out of range.",
    429: "Too many requests at a time; the header Retry-After says when to come again.",
    503: "The server is busy, or about to end.",
    504: "The answer took too long.",
    507: "There is no room for the video.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The descriptions of the problems that a route may answer with."""
    return {
        status: {"description": _ABOUT[status], "model": ProblemAnswer}
        for status in (*statuses, 401, 403, 421)
    }


def body(family: str, field: str, *, many: bool) -> dict[str, Any]:
    """The description of a body: a form with files, or the file itself."""
    file = {"type": "string", "format": "binary"}
    value = {"type": "array", "items": file, "minItems": 1} if many else file
    form = {"type": "object", "properties": {field: value}, "required": [field]}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                f"{family}/*": {"schema": file},
                "application/octet-stream": {"schema": file},
            },
        }
    }
