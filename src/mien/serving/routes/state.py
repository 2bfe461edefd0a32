"""What the server is and how it fares: the model, health, numbers for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from mien.serving.describe import describe_server
from mien.serving.problems import Problem
from mien.serving.routes.answers import HealthAnswer, ServerAnswer
from mien.serving.routes.responses import problems
from mien.serving.service import Service


def state_routes(service: Service) -> APIRouter:
    """The routes that say something about the server."""
    router = APIRouter(tags=["server"])
    description: dict[str, Any] = describe_server(service)

    @router.get("/v1/model", response_model=ServerAnswer, responses=problems())
    async def model() -> Response:
        """The models that answer, their license terms and cards, and the limits of requests."""
        return JSONResponse(description)

    @router.get("/healthz", response_model=HealthAnswer)
    async def healthz() -> Response:
        """Whether the server runs."""
        return JSONResponse({"status": "ok"})

    @router.get("/readyz", response_model=HealthAnswer, responses=problems(503))
    async def readyz() -> Response:
        """Whether the server takes requests; 503 once it is about to end."""
        if service.draining:
            raise Problem(503, "expected a server that is ready, got one that is about to end")
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", response_class=PlainTextResponse, responses=problems())
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        return PlainTextResponse(
            service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router
