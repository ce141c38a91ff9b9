"""Asking a model how likely a text is, as an attempt does."""

from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.text_scores import likelihood, scorer
from longcat_eval.protocols import Model
from longcat_eval.records import AttemptKey, RequestMeta


async def score(model: Model, context: str, continuation: str) -> tuple[float, bool]:
    request = Role(model, "tiny").text_request(context + continuation, RequestMeta(AttemptKey("t", "s")))
    return likelihood(await scorer(model).loglikelihood(request, len(context.rstrip())))
