"""Properties of the events of shops: products, carts, checkouts, orders, coupons, wish lists.

Names and types are those of https://segment.com/docs/connections/spec/ecommerce/v2/. Keys are
required where https://segment.com/docs/connections/spec/ecommerce-tracking-plan/ or the identity of
an order asks for them; v2 itself requires none. Must not know names of events, or how
values are checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from segment_librato.events.kinds import Number

__all__ = [
    "Cart",
    "CartShared",
    "CheckoutStarted",
    "CheckoutStep",
    "Coupon",
    "CouponDenied",
    "CouponDiscount",
    "Order",
    "OrderCompleted",
    "PaymentInfoEntered",
    "Product",
    "ProductInCart",
    "ProductList",
    "ProductListFiltered",
    "ProductReviewed",
    "ProductShared",
    "ProductViewed",
    "ProductsSearched",
    "Promotion",
    "Selection",
    "WishlistProduct",
    "WishlistProductAddedToCart",
]


class _ProductId(TypedDict):
    product_id: str


class _ProductDetails(_ProductId, total=False):
    sku: str
    category: str
    name: str
    brand: str
    variant: str
    price: Number
    url: str
    image_url: str


class Product(_ProductDetails, total=False):
    """A product, by itself or in a list."""

    quantity: Number
    coupon: str
    position: Number


class ProductViewed(Product, total=False):
    """A product whose details were looked at."""

    currency: str
    value: Number


class ProductInCart(Product, total=False):
    """A product that comes into a cart, or leaves it."""

    cart_id: str


class WishlistProduct(Product, total=False):
    """A product that comes onto a wish list, or leaves it."""

    wishlist_id: str
    wishlist_name: str


class WishlistProductAddedToCart(WishlistProduct, total=False):
    """A product that goes from a wish list to a cart."""

    cart_id: str


class _Share(TypedDict, total=False):
    share_via: str
    share_message: str
    recipient: str


class ProductShared(_ProductDetails, _Share, total=False):
    """A product that a user tells somebody of."""


class ProductReviewed(_ProductId, total=False):
    """A review of a product; the spec has its rating as text."""

    review_id: str
    review_body: str
    rating: str


class ProductsSearched(TypedDict, total=False):
    """A search for products."""

    query: str | Mapping[str, object]


class Selection(TypedDict, total=False):
    """A filter or an order that a user chose for a list."""

    type: str
    value: str


class ProductList(TypedDict, total=False):
    """A list or category of products."""

    list_id: str
    category: str
    products: Sequence[Product]


class ProductListFiltered(ProductList, total=False):
    """A list of products, filtered and sorted."""

    filters: Sequence[Selection]
    sorts: Sequence[Selection]


class Promotion(TypedDict, total=False):
    """A promotion that was seen or clicked."""

    promotion_id: str
    creative: str
    name: str
    position: str


class Cart(TypedDict, total=False):
    """A shopping cart."""

    cart_id: str
    products: Sequence[Product]


class CartShared(Cart, _Share, total=False):
    """A cart that a user tells somebody of."""


class _Purchase(TypedDict, total=False):
    affiliation: str
    revenue: Number
    shipping: Number
    tax: Number
    discount: Number
    coupon: str
    currency: str
    products: Sequence[Product]


class CheckoutStarted(_Purchase, total=False):
    """The beginning of a checkout."""

    order_id: str
    value: Number


class CheckoutStep(TypedDict, total=False):
    """A step of a checkout that was seen or completed."""

    checkout_id: str
    step: Number
    shipping_method: str
    payment_method: str


class PaymentInfoEntered(CheckoutStep, total=False):
    """A payment that was filled in."""

    order_id: str


class _OrderId(TypedDict):
    order_id: str


class Order(_OrderId, _Purchase, total=False):
    """An order that was changed or cancelled."""

    total: Number


class OrderCompleted(Order, total=False):
    """An order that was completed, or refunded."""

    checkout_id: str
    subtotal: Number


class Coupon(TypedDict, total=False):
    """A coupon that was entered for a cart or an order."""

    order_id: str
    cart_id: str
    coupon_id: str


class CouponDiscount(Coupon, total=False):
    """A coupon that was applied or removed, with what it takes off."""

    coupon_name: str
    discount: Number


class CouponDenied(Coupon, total=False):
    """A coupon that was not accepted."""

    coupon_name: str
    reason: str
