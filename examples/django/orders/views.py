"""Visitors sign up, and order; the middleware says who they are, and where."""

from __future__ import annotations

from uuid import uuid4

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

import segment_librato as analytics


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Show what this visitor can do."""
    return render(request, "orders/index.html")


@require_POST
def sign_up(request: HttpRequest) -> HttpResponse:
    """Welcome a new customer, who is logged in from now on."""
    name, email = request.POST["name"], request.POST["email"]
    login(request, get_user_model().objects.create_user(name, email))
    analytics.identify(traits={"username": name, "email": email})
    analytics.track(event="Signed Up", properties={"username": name, "email": email})
    return redirect("/")


@require_POST
@login_required(login_url="/")
def create_order(request: HttpRequest) -> HttpResponse:
    """Take an order of the customer who is logged in."""
    analytics.track(
        event="Order Completed",
        properties={
            "order_id": str(uuid4()),
            "revenue": float(request.POST["revenue"]),
            "currency": "EUR",
        },
    )
    return redirect("/")
