"""A shop in Flask: visitors sign up, and order."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, abort, request, session

import segment_librato as analytics
from segment_librato.integrations.wsgi import SegmentMiddleware

analytics.write_key = os.environ["SEGMENT_WRITE_KEY"]
analytics.host = os.environ.get("SEGMENT_HOST")  # None is Segment itself
analytics.preload()  # so that no request waits for imports

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SECRET_KEY


def customer(_: dict[str, Any]) -> str | None:
    """Return whose request this is, for the calls that do not say it."""
    user_id: str | None = session.get("user_id")
    return user_id


app.wsgi_app = SegmentMiddleware(app.wsgi_app, user_id=customer)


@app.post("/signup")
def sign_up() -> tuple[dict[str, Any], int]:
    """Welcome a new customer, and remember who it is."""
    session["user_id"] = request.json["user_id"]
    email = request.json["email"]
    analytics.identify(traits={"email": email})
    analytics.track(event="Signed Up", properties={"email": email})
    return {"user_id": session["user_id"]}, 201


@app.post("/orders")
def create_order() -> tuple[dict[str, Any], int]:
    """Take an order of the customer who is logged in."""
    if "user_id" not in session:
        abort(401)
    order = request.json
    analytics.track(
        event="Order Completed",
        properties={"order_id": order["order_id"], "revenue": order["revenue"], "currency": "EUR"},
    )
    return {"order_id": order["order_id"]}, 201
