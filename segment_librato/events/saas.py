"""Properties of the events of accounts and their users, as in B2B SaaS.

Names and types are those of https://segment.com/docs/connections/spec/b2b-saas/. The id of the
account is in `context.groupId`. Must not know names of events, or how values are checked.
"""

from __future__ import annotations

from typing import TypedDict

from segment_librato.events.kinds import Date

__all__ = ["Account", "AccountAddedUser", "InviteSent", "SignedIn", "SignedUp", "Trial"]


class Account(TypedDict, total=False):
    """An account that was made or deleted."""

    account_name: str


class AccountAddedUser(TypedDict, total=False):
    """A user of an account."""

    role: str


class InviteSent(TypedDict, total=False):
    """An invitation of somebody to an account."""

    invitee_email: str
    invitee_first_name: str
    invitee_last_name: str
    invitee_role: str


class SignedIn(TypedDict, total=False):
    """A user who signed in or out."""

    username: str


class SignedUp(SignedIn, total=False):
    """A new user."""

    type: str
    first_name: str
    last_name: str
    email: str
    phone: str
    title: str


class Trial(TypedDict, total=False):
    """A trial that began or ended."""

    trial_start_date: Date
    trial_end_date: Date
    trial_plan_name: str
