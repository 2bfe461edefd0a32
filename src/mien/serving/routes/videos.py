"""``/v1/videos``: hand in a video, ask how far it is, fetch its tables, cancel it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from mien.inference.videos import FPS
from mien.serving.jobs import JobState
from mien.serving.problems import Problem
from mien.serving.routes.answers import VideoAnswer
from mien.serving.routes.responses import body, problems
from mien.serving.service import Service
from mien.serving.uploads import save_video

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


def video_routes(service: Service) -> APIRouter:
    """The routes of videos."""
    router = APIRouter(tags=["videos"])
    jobs = service.jobs

    @router.post(
        "/v1/videos",
        status_code=202,
        response_model=VideoAnswer,
        responses=problems(400, 408, 413, 415, 422, 429, 503, 507),
        openapi_extra=body("video", "video", many=False),
    )
    async def hand_in(
        request: Request,
        fps: Annotated[float, Query(gt=0, le=120, description="Frames per second to read.")] = FPS,
    ) -> Response:
        """Hand in a video as a form with a file, or as the body.

        The answer has the id to ask for. Videos are read one after the other.
        """
        if service.draining:
            raise Problem(
                503,
                "expected a server that takes videos, got one that is about to end; ask another",
                headers={"retry-after": "5"},
            )
        job = jobs.create(fps)
        try:
            job.name = await save_video(request, job.video)
        except OSError as error:
            jobs.remove(job)
            reason = error.strerror or error
            raise Problem(
                507, f"expected room for the video on the server, got {reason}; try again later"
            ) from None
        except BaseException:
            jobs.remove(job)
            raise
        jobs.start(job)
        return JSONResponse(job.answer(), 202, headers={"location": f"/v1/videos/{job.id}"})

    @router.get("/v1/videos/{identity}", response_model=VideoAnswer, responses=problems(404, 422))
    async def video(identity: str) -> Response:
        """How far a video is and, once it is done, its persons."""
        job = jobs.find(identity)
        job.fetched = job.fetched or job.ended is not None
        return JSONResponse(job.answer())

    @router.get(
        "/v1/videos/{identity}/table",
        response_class=FileResponse,
        responses={
            200: {"content": {kind.partition(";")[0]: {} for kind in _TYPES.values()}},
            **problems(404, 409, 422),
        },
    )
    async def table(
        identity: str,
        rows: Literal["summary", "frames", "clips"] = "summary",
        format: Literal["csv", "jsonl", "parquet"] = "csv",
    ) -> Response:
        """The table of a video that is done, as `mien predict --rows` writes it."""
        job = jobs.find(identity)
        if job.state is not JobState.DONE:
            raise Problem(409, f"expected a video that is done, got one that is {job.state.value}")
        path = job.table(rows, format)
        if not path.is_file():
            raise Problem(422, f"expected rows that the model gives, got {rows}; ask for summary")
        return FileResponse(path, media_type=_TYPES[format], filename=f"mien-{rows}.{format}")

    @router.delete("/v1/videos/{identity}", status_code=204, responses=problems(404, 422))
    async def cancel(identity: str) -> Response:
        """Cancel a video, and delete everything of it."""
        jobs.remove(jobs.find(identity))
        return Response(status_code=204)

    return router
