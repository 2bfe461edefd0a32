"""The OpenAPI document, with what FastAPI cannot know: the type of problems, and the token."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from mien.serving.problems import MEDIA_TYPE


def describe_api(app: FastAPI, *, token: bool) -> Callable[[], dict[str, Any]]:
    """A function that returns the document of an application, made once."""

    @cache
    def document() -> dict[str, Any]:
        described = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for path, operations in described["paths"].items():
            for operation in operations.values():
                _name_problems(operation)
                if token and path.startswith(("/v1/", "/metrics")):
                    operation["security"] = [{"token": []}]
        if token:
            described["components"]["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"}
            }
        return described

    return document


def _name_problems(operation: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/ProblemAnswer"}
    for status, response in operation["responses"].items():
        if status >= "400":
            response["content"] = {MEDIA_TYPE: {"schema": schema}}
