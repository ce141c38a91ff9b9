"""Leaving out fields that an endpoint refuses."""

from collections.abc import Collection
from typing import Any

import msgspec

from longcat_eval.model_backend.text_scores import scorer
from longcat_eval.protocols import Model
from longcat_eval.records import Completion, Request


class OmitFields:
    """Takes fields out of every body, because the endpoint answers 400 to them (Gemini: `seed`)."""

    def __init__(self, model: Model, fields: Collection[str]) -> None:
        self.model, self.name, self.capabilities = model, model.name, model.capabilities
        self._fields = frozenset(fields)

    def rewrite(self, request: Request) -> Request:
        """Return the request that is really sent, after whatever the inner model changes too."""
        if not self._fields.isdisjoint(request.body):
            body = {name: value for name, value in request.body.items() if name not in self._fields}
            request = msgspec.structs.replace(request, body=body)
        inner: Any = getattr(self.model, "rewrite", None)
        return request if inner is None else inner(request)

    async def complete(self, request: Request) -> Completion:
        """Answer one request without the fields."""
        return await self.model.complete(self._without(request))

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """Score a text without the fields."""
        return await scorer(self.model).loglikelihood(self._without(request), start)

    def _without(self, request: Request) -> Request:
        body = {name: value for name, value in request.body.items() if name not in self._fields}
        return msgspec.structs.replace(request, body=body)

    async def close(self) -> None:
        """Close the inner model."""
        await self.model.close()
