"""Scripts for all three roles: the orders of a task's last expected state, or doing nothing at all.

Orders are not graded and not clean: where the checkout refuses one, the script goes on. Orders of hotels,
attractions, flights and trains are not placed: their data was not at hand when this was written.
"""

import json
from collections.abc import Callable, Iterator, Mapping

from longcat_eval.records import Message, ToolCall, Wire
from longcat_eval.tasks.vita.rubrics import rubrics_of, windows_of

OPENING = "Hello, I need your help."
FAREWELL = "That is done. ###STOP###"
REFUSAL = "I cannot help you with that."
GIVING_UP = "###STOP###"

Scripts = dict[str, list[Message]]
Placed = Iterator[tuple[str, Wire]]


def gold_scripts(raw: Wire) -> Scripts:
    """The user opens, each order is a call of the agent, which then ends it; the judge finds all met."""
    calls = [
        Message("assistant", tool_calls=(ToolCall(f"gold_{number}", name, json.dumps(arguments)),))
        for number, (name, arguments) in enumerate(gold_calls(raw))
    ]
    said = [*calls, Message("assistant", FAREWELL)]
    return {
        "agent": said,
        "user": [Message("assistant", OPENING)],
        "judge": judge_script(raw, met=True, messages=3 + 2 * len(calls)),
    }


def idle_scripts(raw: Wire) -> Scripts:
    """An agent that says it cannot help, a user who gives up, and a judge who finds nothing done."""
    return {
        "agent": [Message("assistant", REFUSAL)],
        "user": [Message("assistant", OPENING), Message("assistant", GIVING_UP)],
        "judge": judge_script(raw, met=False, messages=4),
    }


def judge_script(raw: Wire, *, met: bool, messages: int) -> list[Message]:
    """A judge's answer for every window of a dialogue of so many messages: each rubric met, or none."""
    lines = [
        {"rubric_idx": name, "justification": "as scripted", "meetExpectation": met}
        for name in rubrics_of(raw)
    ]
    windows = windows_of([{}] * messages)
    return [Message("assistant", json.dumps(lines))] * len(windows)


def gold_calls(raw: Wire) -> Placed:
    """The calls that place the orders, bookings and reservations of the last expected state."""
    states = (raw.get("evaluation_criteria") or {}).get("expected_states") or [{}]
    for order in states[-1].get("required_orders") or ():
        kind = order.get("order_type") or ("book" if "book_time" in order else "reservation")
        if kind in PLACED:
            yield from PLACED[kind](order, raw["environment"])


def _delivery(order: Wire, environment: Wire) -> Placed:
    """An order without a time of dispatch is dispatched at once."""
    products = order["products"]
    arguments = {
        "user_id": order["user_id"],
        "store_id": order["store_id"],
        "product_ids": [product.get("product_id", "") for product in products],
        "product_cnts": [product.get("quantity", 1) for product in products],
        "address": (order["location"] or {}).get("address", ""),
        "dispatch_time": order["dispatch_time"] or environment["time"],
        "attributes": [product.get("attributes") or "" for product in products],
        "note": order["note"] or "",
    }
    yield "create_delivery_order", arguments


def _instore(order: Wire, environment: Wire) -> Placed:
    for product in order["products"]:
        arguments = {
            "user_id": order["user_id"],
            "shop_id": order["store_id"],
            "product_id": product.get("product_id", ""),
            "quantity": product.get("quantity", 1),
        }
        yield "create_instore_product_order", arguments


def _visit(tool: str, time: str) -> Callable[[Wire, Wire], Placed]:
    def placed(order: Wire, environment: Wire) -> Placed:
        arguments = {
            "user_id": order.get("customer_id", ""),
            "shop_id": order.get("shop_id", ""),
            "time": order.get(time) or "",
            "customer_count": order.get("customer_count", 1),
        }
        yield tool, arguments

    return placed


PLACED: Mapping[str, Callable[[Wire, Wire], Placed]] = {
    "delivery": _delivery,
    "instore": _instore,
    "book": _visit("instore_book", "book_time"),
    "reservation": _visit("instore_reservation", "reservation_time"),
}
"""How each kind of order is placed."""
