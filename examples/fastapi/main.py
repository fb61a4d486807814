"""A shop in FastAPI: visitors sign up, and order."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel

import segment_librato as analytics
from segment_librato.integrations.asgi import SegmentMiddleware

analytics.write_key = os.environ["SEGMENT_WRITE_KEY"]
analytics.host = os.environ.get("SEGMENT_HOST")  # None is Segment itself


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
    """Deliver what waits before uvicorn ends, as SIGTERM ends it without exit hooks."""
    analytics.preload()  # so that no request waits for imports
    yield
    await analytics.aflush(timeout=5)


app = FastAPI(lifespan=lifespan)
app.add_middleware(SegmentMiddleware)  # events know the page and the browser


class Customer(BaseModel):
    """Who signs up."""

    user_id: str
    email: str


class Order(BaseModel):
    """What is ordered."""

    order_id: str
    revenue: float


async def customer_scope(x_user_id: Annotated[str, Header()]) -> AsyncIterator[None]:
    """Say once whose request this is; your authentication goes here."""
    with analytics.scope(user_id=x_user_id):
        yield


@app.post("/signup", status_code=201)
async def sign_up(customer: Customer) -> Customer:
    """Welcome a new customer."""
    analytics.identify(customer.user_id, {"email": customer.email})
    analytics.track(customer.user_id, "Signed Up", {"email": customer.email})
    return customer


@app.post("/orders", status_code=201, dependencies=[Depends(customer_scope)])
async def create_order(order: Order) -> Order:
    """Take an order; the scope has the customer."""
    analytics.track(
        event="Order Completed",
        properties={"order_id": order.order_id, "revenue": order.revenue, "currency": "EUR"},
    )
    return order
