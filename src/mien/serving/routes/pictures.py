"""``POST /v1/predict``."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from mien.serving.problems import Problem
from mien.serving.routes.answers import PredictAnswer
from mien.serving.routes.responses import body, problems
from mien.serving.service import Service
from mien.serving.uploads import read_pictures


def picture_routes(service: Service) -> APIRouter:
    """The route of pictures."""
    router = APIRouter(tags=["pictures"])

    @router.post(
        "/v1/predict",
        response_model=PredictAnswer,
        responses=problems(400, 408, 413, 415, 422, 429, 503, 504),
        openapi_extra=body("image", "image", many=True),
    )
    async def predict(
        request: Request,
        tight: Annotated[
            bool, Query(description="The pictures are tight face crops: detect no face.")
        ] = False,
        neighbors: Annotated[
            bool, Query(description="With the nearest faces of the server's index, if it has one.")
        ] = False,
    ) -> Response:
        """Predict the faces of one picture or several.

        Send a form with files, or one picture as the body. A picture that cannot be read has the
        status unreadable and a reason; where that is all of them, the answer is 422.
        """
        if service.draining:
            raise Problem(
                503,
                "expected a server that takes requests, got one that is about to end; ask another",
                headers={"retry-after": "5"},
            )
        with service.workers.admission() as admission:
            pictures = await read_pictures(request, service.limits)
            answer = await admission.run(
                partial(service.predict, pictures, tight=tight, neighbors=neighbors),
                service.limits.request_seconds,
            )
        return JSONResponse(answer)

    return router
