"""Place three orders, as the web servers of the shop would; a worker completes them."""

from __future__ import annotations

from tasks import complete_order

import segment_librato as analytics

ORDERS = [("ada", "order-1", 42.5), ("grace", "order-2", 17.0), ("alan", "order-3", 99.9)]

if __name__ == "__main__":
    for user_id, order_id, revenue in ORDERS:
        with analytics.scope(user_id=user_id, context={"locale": "en-GB"}):
            analytics.track(
                event="Checkout Started", properties={"order_id": order_id, "value": revenue}
            )
            complete_order.delay(order_id, revenue)
    print(f"Placed {len(ORDERS)} orders.")
