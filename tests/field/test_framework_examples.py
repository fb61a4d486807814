"""The applications of docs/scopes.md run, and track as the page says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient
from support import django_project
from support.pages import blocks_for
from support.scopes_page import variables_of

import segment_librato as analytics
from segment_librato.testing import capture

django_project.configure()

FASTAPI, DEPENDENCY, FLASK, SETTINGS, OWN = blocks_for(__file__)


def test_the_application_of_fastapi() -> None:
    app = variables_of(FASTAPI)["app"]
    with capture() as segment:
        response = TestClient(app).post("/orders", headers={"x-user": "user-1"})
    assert response.json() == {"accepted": True}
    segment.assert_tracked("Order Completed", user_id="user-1")


def test_the_scope_of_a_dependency_is_that_of_its_endpoint() -> None:
    async def find_user(token: str) -> SimpleNamespace:
        return SimpleNamespace(id=f"user-{token}")

    known = {"analytics": analytics, "find_user": find_user}
    current_user = variables_of(DEPENDENCY, **known)["current_user"]
    app = FastAPI()

    @app.post("/orders", dependencies=[Depends(current_user)])
    def order() -> None:
        analytics.track(event="Order Completed")

    with capture() as segment:
        assert TestClient(app).post("/orders?token=1").status_code == 200
    segment.assert_tracked("Order Completed", user_id="user-1")


def test_the_application_of_flask() -> None:
    browser = variables_of(FLASK)["app"].test_client()
    with browser.session_transaction() as session:
        session["user_id"] = "user-1"
    with capture() as segment:
        assert browser.post("/orders").json == {"accepted": True}
    segment.assert_tracked("Order Completed", user_id="user-1")


def view(request: Any) -> HttpResponse:
    analytics.track(event="Seen")
    return HttpResponse("")


def test_the_settings_and_the_class_of_django() -> None:
    settings = variables_of(SETTINGS)
    assert settings["MIDDLEWARE"][-1] == "segment_librato.integrations.django.SegmentMiddleware"
    request = RequestFactory(HTTP_COOKIE="ajs_anonymous_id=visitor-1").get("/")
    request.user = SimpleNamespace(is_authenticated=True, uuid="user-1")
    own = variables_of(OWN)["Analytics"]
    choices = override_settings(SEGMENT_MIDDLEWARE=settings["SEGMENT_MIDDLEWARE"])
    with choices, capture() as segment:
        own(view)(request)
    segment.assert_tracked("Seen", user_id="user-1")
    assert segment.messages[0]["anonymousId"] == "visitor-1"
