# What type checkers and editors know of `track`: an overload for each type of properties. Any
# mapping is right for any event: the types let an editor complete names, and checkers accept names
# of your own beside them.

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar, overload

from segment_librato.events import ecommerce, fields, mobile, saas, video
from segment_librato.message.fields import Identifier, Message
from segment_librato.message.timestamp import Timestamp
from segment_librato.router import Router

__all__ = [
    "AnyContext",
    "AnyGroupTraits",
    "AnyPageProperties",
    "AnyScreenProperties",
    "AnyTrackProperties",
    "AnyUserTraits",
    "Properties",
    "Tracking",
]

Properties: TypeAlias = Mapping[str, Any]

AnyContext: TypeAlias = fields.Context | Properties
AnyGroupTraits: TypeAlias = fields.GroupTraits | Properties
AnyPageProperties: TypeAlias = fields.PageProperties | Properties
AnyScreenProperties: TypeAlias = fields.ScreenProperties | Properties
AnyTrackProperties: TypeAlias = fields.TrackProperties | Properties
AnyUserTraits: TypeAlias = fields.UserTraits | Properties

# A type variable lowers the rank of an overload with pyright. Else it would take the last one, of
# any event, for the best match while the first property is being written.
_Integrations = TypeVar("_Integrations", bound=Properties)

class Tracking:
    _router: Router

    # <overloads>, by `make events`
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Products Searched"] = ...,
        properties: ecommerce.ProductsSearched | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product List Viewed"] = ...,
        properties: ecommerce.ProductList | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product List Filtered"] = ...,
        properties: ecommerce.ProductListFiltered | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Promotion Viewed", "Promotion Clicked"] = ...,
        properties: ecommerce.Promotion | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product Clicked"] = ...,
        properties: ecommerce.Product | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product Viewed"] = ...,
        properties: ecommerce.ProductViewed | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product Added", "Product Removed"] = ...,
        properties: ecommerce.ProductInCart | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Cart Viewed"] = ...,
        properties: ecommerce.Cart | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Checkout Started"] = ...,
        properties: ecommerce.CheckoutStarted | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Checkout Step Viewed", "Checkout Step Completed"] = ...,
        properties: ecommerce.CheckoutStep | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Payment Info Entered"] = ...,
        properties: ecommerce.PaymentInfoEntered | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Order Updated", "Order Cancelled"] = ...,
        properties: ecommerce.Order | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Order Completed", "Order Refunded"] = ...,
        properties: ecommerce.OrderCompleted | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Coupon Entered"] = ...,
        properties: ecommerce.Coupon | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Coupon Applied", "Coupon Removed"] = ...,
        properties: ecommerce.CouponDiscount | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Coupon Denied"] = ...,
        properties: ecommerce.CouponDenied | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product Added to Wishlist", "Product Removed from Wishlist"] = ...,
        properties: ecommerce.WishlistProduct | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Wishlist Product Added to Cart"] = ...,
        properties: ecommerce.WishlistProductAddedToCart | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product Shared"] = ...,
        properties: ecommerce.ProductShared | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Cart Shared"] = ...,
        properties: ecommerce.CartShared | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Product Reviewed"] = ...,
        properties: ecommerce.ProductReviewed | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Application Installed"] = ...,
        properties: mobile.ApplicationVersion | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Application Opened"] = ...,
        properties: mobile.ApplicationOpened | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Application Updated"] = ...,
        properties: mobile.ApplicationUpdated | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Install Attributed"] = ...,
        properties: mobile.InstallAttributed | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Push Notification Received"] = ...,
        properties: mobile.PushNotificationReceived | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Push Notification Tapped", "Push Notification Bounced"] = ...,
        properties: mobile.PushNotification | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Deep Link Opened", "Deep Link Clicked"] = ...,
        properties: mobile.DeepLink | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Video Playback Started"] = ...,
        properties: video.VideoPlaybackStarted | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal[
            "Video Playback Paused",
            "Video Playback Buffer Started",
            "Video Playback Buffer Completed",
            "Video Playback Seek Completed",
            "Video Playback Resumed",
            "Video Playback Completed",
            "Video Playback Exited",
        ] = ...,
        properties: video.VideoPlayback | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Video Playback Interrupted"] = ...,
        properties: video.VideoPlaybackInterrupted | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Video Playback Seek Started"] = ...,
        properties: video.VideoPlaybackSeekStarted | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal[
            "Video Content Started", "Video Content Playing", "Video Content Completed"
        ] = ...,
        properties: video.VideoContent | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Video Ad Started", "Video Ad Playing", "Video Ad Completed"] = ...,
        properties: video.VideoAd | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Video Quality Updated"] = ...,
        properties: video.VideoQualityUpdated | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Account Created", "Account Deleted"] = ...,
        properties: saas.Account | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Signed Up"] = ...,
        properties: saas.SignedUp | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Signed In", "Signed Out"] = ...,
        properties: saas.SignedIn | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Invite Sent"] = ...,
        properties: saas.InviteSent | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Account Added User"] = ...,
        properties: saas.AccountAddedUser | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal["Trial Started", "Trial Ended"] = ...,
        properties: saas.Trial | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: Literal[
            "Application Backgrounded",
            "Application Foregrounded",
            "Application Uninstalled",
            "Application Crashed",
            "Account Removed User",
        ] = ...,
        properties: fields.TrackProperties | Properties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    @overload
    def track(
        self,
        user_id: Identifier | None = None,
        event: str | None = None,
        properties: AnyTrackProperties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: _Integrations | None = None,  # pyright: ignore[reportInvalidTypeVarUse]
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]: ...
    # </overloads>
