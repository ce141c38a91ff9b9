"""An environment is a time, a user, stores, orders, and tools on them."""

import json
from types import SimpleNamespace

import vita.config  # noqa: F401 - as the original does
from vita.data_model.tasks import Location, ProductBaseModel, StoreBaseModel
from vita.utils import schema_utils

GREETINGS = {"chinese": "欢迎", "english": "Welcome"}


def get_agent_policy(language=None):
    raise AssertionError("prompts are read once, and not for every environment")


class Tool:
    def __init__(self, name, arguments):
        self.openai_schema = {
            "type": "function",
            "function": {
                "name": name,
                "description": f"{schema_utils.get_global_language()}: {name}",
                "parameters": {"type": "object", "properties": {a: {"type": "string"} for a in arguments}},
            },
        }


class Toolkit:
    """Tools that look things up in the registries, as the original's do, not in the state they were given."""

    def __init__(self, state):
        self.db = SimpleNamespace(orders=dict(state.get("orders", {})), time=state.get("time"))
        for store_id, products in {**state.get("stores", {}), **state.get("shops", {})}.items():
            StoreBaseModel(store_id, f"Store {store_id}")
            for product_id, price in products.items():
                ProductBaseModel(product_id, price)
        for address in state.get("location", []):
            Location(address)

    def stores(self):
        return sorted(StoreBaseModel.known())

    def places(self):
        return sorted(Location.known())

    def greeting(self):
        return GREETINGS[schema_utils.get_global_language()]

    def create_order(self, product_id, count):
        product = ProductBaseModel.known()[product_id]
        self.db.orders[f"O{len(self.db.orders)}"] = f"{count} x {product_id} for {product.price * count}"
        return self.db.orders[f"O{len(self.db.orders) - 1}"]


TOOLS = {"stores": (), "places": (), "greeting": (), "create_order": ("product_id", "count")}


class Environment:
    def __init__(self, domain_name, policy, tools, names=()):
        self.domain_name, self.policy, self.tools, self.names = domain_name, policy, tools, names

    def get_tools(self):
        hours = {f"{name}_hours": () for name in self.names}
        return [Tool(name, arguments) for name, arguments in {**TOOLS, **hours}.items()]

    def make_tool_call(self, tool_name, requestor="assistant", **arguments):
        if requestor != "assistant":
            raise ValueError("only the assistant has tools")
        if tool_name.removesuffix("_hours") in self.names:
            return {"open": [9, 21.5]}
        if tool_name not in TOOLS:
            raise ValueError(f"no tool {tool_name}")
        return getattr(self.tools, tool_name)(**arguments)

    @classmethod
    def to_json_str(cls, value):
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False)


def get_cross_environment(domain, environment=None, language=None):
    from vita.registry import registry

    made = [registry.get_env_constructor(name)(environment, language) for name in domain.split(",")]
    return Environment(domain, get_agent_policy(language), made[0].tools, domain.split(","))
