"""The objects of the toy services."""

from pydantic import BaseModel

from vita.data_model.thread_safe_base import ThreadSafeBase


class UserScenario(BaseModel):
    user_profile: dict[str, str]


class StoreBaseModel(ThreadSafeBase):
    def __init__(self, store_id, name):
        self.store_id, self.name = store_id, name
        self.register(store_id)


class ProductBaseModel(ThreadSafeBase):
    def __init__(self, product_id, price):
        self.product_id, self.price = product_id, price
        self.register(product_id)


class Location(ThreadSafeBase):
    def __init__(self, address):
        self.address = address
        self.register(address)
