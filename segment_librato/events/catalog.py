"""Segment's standard events, each with the type of its properties.

Everything else about them comes from this table: the overloads of `track` (`make events`), the
checks, and a table of the documentation. Must not know how a message is checked.
"""

from __future__ import annotations

from typing import Any

from segment_librato.events import ecommerce, mobile, saas, video
from segment_librato.events.fields import TrackProperties

__all__ = ["ECOMMERCE", "EVENTS", "MOBILE", "SAAS", "VIDEO"]

ECOMMERCE: dict[str, type[Any]] = {
    "Products Searched": ecommerce.ProductsSearched,
    "Product List Viewed": ecommerce.ProductList,
    "Product List Filtered": ecommerce.ProductListFiltered,
    "Promotion Viewed": ecommerce.Promotion,
    "Promotion Clicked": ecommerce.Promotion,
    "Product Clicked": ecommerce.Product,
    "Product Viewed": ecommerce.ProductViewed,
    "Product Added": ecommerce.ProductInCart,
    "Product Removed": ecommerce.ProductInCart,
    "Cart Viewed": ecommerce.Cart,
    "Checkout Started": ecommerce.CheckoutStarted,
    "Checkout Step Viewed": ecommerce.CheckoutStep,
    "Checkout Step Completed": ecommerce.CheckoutStep,
    "Payment Info Entered": ecommerce.PaymentInfoEntered,
    "Order Updated": ecommerce.Order,
    "Order Completed": ecommerce.OrderCompleted,
    "Order Refunded": ecommerce.OrderCompleted,
    "Order Cancelled": ecommerce.Order,
    "Coupon Entered": ecommerce.Coupon,
    "Coupon Applied": ecommerce.CouponDiscount,
    "Coupon Denied": ecommerce.CouponDenied,
    "Coupon Removed": ecommerce.CouponDiscount,
    "Product Added to Wishlist": ecommerce.WishlistProduct,
    "Product Removed from Wishlist": ecommerce.WishlistProduct,
    "Wishlist Product Added to Cart": ecommerce.WishlistProductAddedToCart,
    "Product Shared": ecommerce.ProductShared,
    "Cart Shared": ecommerce.CartShared,
    "Product Reviewed": ecommerce.ProductReviewed,
}
MOBILE: dict[str, type[Any]] = {
    "Application Installed": mobile.ApplicationVersion,
    "Application Opened": mobile.ApplicationOpened,
    "Application Backgrounded": TrackProperties,
    "Application Foregrounded": TrackProperties,
    "Application Updated": mobile.ApplicationUpdated,
    "Application Uninstalled": TrackProperties,
    "Application Crashed": TrackProperties,
    "Install Attributed": mobile.InstallAttributed,
    "Push Notification Received": mobile.PushNotificationReceived,
    "Push Notification Tapped": mobile.PushNotification,
    "Push Notification Bounced": mobile.PushNotification,
    "Deep Link Opened": mobile.DeepLink,
    "Deep Link Clicked": mobile.DeepLink,
}
VIDEO: dict[str, type[Any]] = {
    "Video Playback Started": video.VideoPlaybackStarted,
    "Video Playback Paused": video.VideoPlayback,
    "Video Playback Interrupted": video.VideoPlaybackInterrupted,
    "Video Playback Buffer Started": video.VideoPlayback,
    "Video Playback Buffer Completed": video.VideoPlayback,
    "Video Playback Seek Started": video.VideoPlaybackSeekStarted,
    "Video Playback Seek Completed": video.VideoPlayback,
    "Video Playback Resumed": video.VideoPlayback,
    "Video Playback Completed": video.VideoPlayback,
    "Video Playback Exited": video.VideoPlayback,
    "Video Content Started": video.VideoContent,
    "Video Content Playing": video.VideoContent,
    "Video Content Completed": video.VideoContent,
    "Video Ad Started": video.VideoAd,
    "Video Ad Playing": video.VideoAd,
    "Video Ad Completed": video.VideoAd,
    "Video Quality Updated": video.VideoQualityUpdated,
}
SAAS: dict[str, type[Any]] = {
    "Account Created": saas.Account,
    "Account Deleted": saas.Account,
    "Signed Up": saas.SignedUp,
    "Signed In": saas.SignedIn,
    "Signed Out": saas.SignedIn,
    "Invite Sent": saas.InviteSent,
    "Account Added User": saas.AccountAddedUser,
    "Account Removed User": TrackProperties,
    "Trial Started": saas.Trial,
    "Trial Ended": saas.Trial,
}
EVENTS: dict[str, type[Any]] = {**ECOMMERCE, **MOBILE, **VIDEO, **SAAS}
