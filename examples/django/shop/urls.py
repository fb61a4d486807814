"""The pages of the shop."""

from __future__ import annotations

from django.urls import path
from orders import views

urlpatterns = [
    path("", views.index),
    path("signup/", views.sign_up),
    path("orders/", views.create_order),
]
