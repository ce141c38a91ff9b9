"""What an endpoint really does with the settings it is sent, found out by a dozen small requests."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.text_scores import likelihood, scorer
from longcat_eval.protocols import ModelError
from longcat_eval.records import AttemptKey, Completion, Request, RequestMeta, Wire

Status = Literal["ok", "warn", "fail"]

OPEN_QUESTION = "Tell me a very short story about a traveller."
REPETITIVE = "Write the word yes thirty times, with spaces between, and nothing else."
TOKENS = 24
TOOL_QUESTION = "What is the weather in Paris? Use a tool."
STRONG_PENALTY = 2.0  # the most that SGLang accepts
PENALTIES = ("repetition_penalty", "repeat_penalty")
CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
SEEDS = (101, 202, 303)

TOOL: Wire = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Return the weather of a city today.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city"}},
            "required": ["city"],
        },
    },
}


class Probe(NamedTuple):
    """One line of a health check; `remedy` says what to do where it is not ok."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


class Draws(NamedTuple):
    """Texts drawn at temperature 1: twice with the first of SEEDS, once with each other one."""

    again: tuple[str, str]
    others: tuple[str, ...]

    @property
    def repeatable(self) -> bool:
        """Whether one seed gave one text."""
        return self.again[0] == self.again[1]

    @property
    def vary(self) -> bool:
        """Whether different seeds gave different texts."""
        return len({self.again[0], *self.others}) > 1


def small_request(
    role: Role,
    text: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    seed: int = SEEDS[0],
    tools: Sequence[Wire] | None = None,
) -> Request:
    """One question for a few tokens, at the role's own settings but for `overrides`."""
    return role.request(
        [{"role": "user", "content": text}],
        RequestMeta(AttemptKey("doctor", text)),
        seed=seed,
        max_tokens=TOKENS,
        tools=tools,
        overrides=overrides,
    )


async def probe_endpoint(role: Role, models: Sequence[Wire] | ModelError) -> list[Probe]:
    """Run every probe; `models` are the entries of GET /models, or why there are none.

    Stops early where nothing more can be learned: no connection, or no completion.
    """
    found = listed(role.served_name, models)
    if any(probe.status == "fail" and probe.name == "reachable" for probe in found):
        return found
    first, plain = await plain_completion(role)
    found.append(plain)
    if first is None:
        return found
    found.append(counts_tokens(first))
    draws, seed = await honours_seed(role)
    found.append(seed)
    found.append(await honours_top_k(role, draws))
    found.append(await honours_penalty(role))
    found.append(await sees_tools(role))
    entry = entry_of(role.served_name, models)
    found.append(context_fits(entry, role.context_length))
    return found


def listed(served_name: str, models: Sequence[Wire] | ModelError) -> list[Probe]:
    """Whether the endpoint answers, and lists the model."""
    if isinstance(models, ModelError):
        if models.reason in ("not_found", "bad_request", "bad_body"):
            return [Probe("reachable", "warn", "the endpoint has no list of models")]
        refused = models.reason in ("unauthorized", "forbidden")
        remedy = "check the key (--api-key-env)" if refused else "check --base-url"
        return [Probe("reachable", "fail", str(models), remedy)]
    ids = [str(entry.get("id")) for entry in models]
    reachable = Probe("reachable", "ok", f"serves {', '.join(ids[:5]) or 'nothing'}")
    if entry_of(served_name, models):
        return [reachable, Probe("model", "ok", f"{served_name} is served")]
    remedy = f"--served-model-name {ids[0]}" if ids else "load a model into the server"
    return [reachable, Probe("model", "fail", f"{served_name} is not among them", remedy)]


async def plain_completion(role: Role) -> tuple[Completion | None, Probe]:
    """Whether one ordinary request is answered."""
    try:
        done = await role.model.complete(small_request(role, OPEN_QUESTION))
    except ModelError as error:
        return None, Probe("completion", "fail", str(error), "run the server's own example request first")
    said = " ".join((done.text or done.message.reasoning or "").split())
    if not said:
        return done, Probe("completion", "warn", f"an empty reply ({done.finish_reason})", "look at a reply")
    return done, Probe("completion", "ok", f"{said[:60]}…" if len(said) > 60 else said)


async def scores_texts(role: Role) -> Probe:
    """Whether it tells how likely a text is, as tasks of lm-eval with choices ask."""
    if "loglikelihood" in role.model.capabilities:
        request = role.text_request("One and one is two.", RequestMeta(AttemptKey("doctor", "scores")))
        try:
            total, _ = likelihood(await scorer(role.model).loglikelihood(request, len("One and one is")))
        except ModelError as error:
            said = str(error)
        else:
            return Probe("log-likelihoods", "ok", f"texts are scored ({total:.2f} for a short one)")
    else:
        said = f"{role.model.name} does not offer them"
    remedy = "use vLLM, SGLang or `longcat-eval serve`, or --model local:PATH"
    return Probe("log-likelihoods", "fail", said, remedy)


def counts_tokens(done: Completion) -> Probe:
    """Whether replies say how many tokens they used."""
    if done.usage.prompt_tokens and done.usage.completion_tokens:
        return Probe("usage", "ok", "replies count their tokens")
    return Probe(
        "usage", "warn", "replies do not count their tokens", "cost and token budgets stay unknown in runs"
    )


async def honours_seed(role: Role) -> tuple[Draws | None, Probe]:
    """Whether one seed gives one text, and other seeds other texts."""
    try:
        texts = [await draw(role, seed) for seed in (SEEDS[0], *SEEDS)]
    except ModelError as error:
        return None, Probe("seed", "fail", str(error), "look at what the server refuses")
    draws = Draws((texts[0], texts[1]), tuple(texts[2:]))
    if not draws.vary:
        return draws, Probe(
            "seed",
            "warn",
            "three seeds gave one text: cannot tell",
            "see that --repeats give different replies",
        )
    if draws.repeatable:
        return draws, Probe("seed", "ok", "one seed, one text; other seeds, other texts")
    return draws, Probe(
        "seed", "warn", "one seed gave two texts", "scores stay valid, but a draw cannot be repeated"
    )


async def draw(role: Role, seed: int, **overrides: Any) -> str:
    """The text of one draw at temperature 1."""
    wide = {"temperature": 1.0} | ({"top_p": 1.0} if "top_p" in role.sampling else {})
    done = await role.model.complete(small_request(role, OPEN_QUESTION, wide | overrides, seed=seed))
    return done.text or done.message.reasoning or ""


async def honours_top_k(role: Role, draws: Draws | None) -> Probe:
    """Whether top_k=1 leaves nothing to chance at temperature 1."""
    worst: Status = "fail" if "top_k" in role.sampling else "warn"
    remedy = "do not set it here" if worst == "warn" else "serve the model with a server that knows it"
    try:
        texts = {await draw(role, seed, top_k=1) for seed in SEEDS}
    except ModelError as error:
        return Probe("top_k", worst, str(error), remedy)
    if len(texts) > 1:
        return Probe("top_k", worst, "top_k=1 at temperature 1 still gave different texts", remedy)
    if draws is None or not draws.vary:
        return Probe("top_k", "warn", "replies do not vary without it either: cannot tell", remedy)
    return Probe("top_k", "ok", "top_k=1 gave one text for three seeds")


async def honours_penalty(role: Role) -> Probe:
    """Whether a repetition penalty changes a repetitive reply, and under which name."""
    title = "repetition_penalty"
    sent = [name for name in PENALTIES if name in role.sampling]
    honoured, refusal = "", ""
    for name in [*sent, *(name for name in PENALTIES if name not in sent)]:
        try:
            if await penalty_changes(role, name):
                honoured = name
                break
        except ModelError as error:
            refusal = refusal or str(error)
    if honoured and (not sent or honoured == sent[0]):
        return Probe(title, "ok", f"honoured as {honoured}")
    if honoured:
        remedy = f"--set sampling.{sent[0]}=null --set sampling.{honoured}={role.sampling[sent[0]]}"
        return Probe(title, "fail", f"the server drops {sent[0]} and knows {honoured} instead", remedy)
    detail = refusal or f"neither {' nor '.join(PENALTIES)} changes a reply, even at {STRONG_PENALTY:g}"
    if sent:
        return Probe(title, "fail", detail, "serve the model with a server that knows it")
    return Probe(title, "warn", detail, "do not set it here")


async def penalty_changes(role: Role, name: str) -> bool:
    """Whether a strong penalty gives another text than none, all else equal; raises `ModelError`."""
    base = {other: 1.0 for other in PENALTIES if other in role.sampling} | {"temperature": 0.0}
    texts = set()
    for value in (1.0, STRONG_PENALTY):
        done = await role.model.complete(small_request(role, REPETITIVE, base | {name: value}))
        texts.add(done.text)
    return len(texts) > 1


async def sees_tools(role: Role) -> Probe:
    """Whether tools reach the model: then the prompt is longer with them than without."""
    parser = "--tool-parser longcat_xml (LongCat-Flash-Lite) or --tool-parser hermes"
    bare = small_request(role, TOOL_QUESTION)
    given = small_request(role, TOOL_QUESTION, tools=[TOOL])
    try:
        without = (await role.model.complete(bare)).usage.prompt_tokens
        with_tools = (await role.model.complete(given)).usage.prompt_tokens
    except ModelError as error:
        if error.outcome.valid:
            return Probe("tools", "ok", f"they reach the model, though its call cannot be read: {error}")
        return Probe("tools", "fail", str(error), f"start the server with its tool parser, or give {parser}")
    if not without or not with_tools:
        return Probe("tools", "warn", "replies count no tokens: cannot tell", "look at a reply with tools")
    if with_tools <= without:
        return Probe("tools", "fail", f"dropped in silence: {without} prompt tokens with and without", parser)
    how = "passed to the server" if "tools" in role.sent(given).body else "put in the prompt here"
    return Probe("tools", "ok", f"{how}: {without} prompt tokens without, {with_tools} with")


def entry_of(served_name: str, models: Sequence[Wire] | ModelError) -> Mapping[str, Any]:
    """The model's entry in GET /models, empty where there is none."""
    if isinstance(models, ModelError):
        return {}
    names = (served_name, f"models/{served_name}")  # Gemini lists its models so
    return next((entry for entry in models if entry.get("id") in names), {})


def context_fits(entry: Mapping[str, Any], expected: int | None) -> Probe:
    """Whether the server's context is as long as the one requests are fitted to."""
    served = served_context(entry)
    if served is None:
        status: Status = "ok" if expected else "warn"
        known = f"the preset says {expected:,} tokens" if expected else "nobody says how long it is"
        remedy = "" if expected else "--set context_length=N, or long prompts may be refused"
        return Probe("context", status, f"the server does not tell; {known}", remedy)
    if expected is None:
        return Probe("context", "ok", f"the server has {served:,} tokens: requests are fitted to them")
    if served < expected:
        detail = f"the server has {served:,} tokens of the preset's {expected:,}: completions are cut to fit"
        return Probe("context", "warn", detail, "serve it with the whole context for scores like the card's")
    return Probe("context", "ok", f"the server has {served:,} tokens, requests are fitted to {expected:,}")


def served_context(entry: Mapping[str, Any]) -> int | None:
    """The context length in a model's entry: vLLM's and SGLang's field, llama.cpp's, or a gateway's."""
    meta = entry.get("meta")
    candidates = [entry.get(name) for name in CONTEXT_FIELDS]
    candidates += [meta.get("n_ctx"), meta.get("n_ctx_train")] if isinstance(meta, dict) else []
    return next((int(value) for value in candidates if isinstance(value, int) and value > 0), None)
