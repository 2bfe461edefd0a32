"""What a client has done wrong, or the server cannot do now, as JSON with one sentence.

Answers follow RFC 9457 (``application/problem+json``): ``type``, ``title``, ``status`` and
``detail``, which is the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi.responses import JSONResponse
from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"


class ProblemAnswer(BaseModel):
    """Why there is no result."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Problem(Exception):
    """Ends a request with an HTTP status and a sentence: expected, got, what to do."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = dict(headers or {})

    def answer(self) -> JSONResponse:
        """The response."""
        document = ProblemAnswer(
            title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail
        )
        return JSONResponse(
            document.model_dump(), self.status, headers=self.headers, media_type=MEDIA_TYPE
        )
