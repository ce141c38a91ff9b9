"""What /metrics tells, in Prometheus' text format."""

from collections import Counter
from dataclasses import dataclass, field, fields

from longcat_eval.model_backend.longcat.engine_api import EngineMetrics

PREFIX = "longcat_eval_"
GAUGES = ("running", "waiting", "kv_pages_used", "kv_pages")
HELP = {
    "requests": "requests given to the engine",
    "cancelled": "requests whose client went away",
    "prompt_tokens": "prompt tokens of all requests",
    "cached_prompt_tokens": "prompt tokens whose keys and values were there already",
    "generated_tokens": "tokens generated",
    "steps": "forward passes",
    "preemptions": "sequences put back for want of pages",
    "running": "sequences computed in the moment",
    "waiting": "sequences that wait",
    "kv_pages_used": "pages of the KV cache in use",
    "kv_pages": "pages of the KV cache",
}


@dataclass
class HttpCounts:
    """Replies by path and status, and streams that broke off by an error."""

    replies: Counter[tuple[str, int]] = field(default_factory=Counter)
    stream_errors: int = 0

    def answered(self, path: str, status: int) -> None:
        """Count one reply; names of models are no paths of their own."""
        self.replies["/v1/models" if path.startswith("/v1/models/") else path, status] += 1


def render_metrics(engine: EngineMetrics, http: HttpCounts) -> str:
    """All counters and gauges, a family each."""
    lines = []
    for one in fields(EngineMetrics):
        kind = "gauge" if one.name in GAUGES else "counter"
        name = f"{PREFIX}{one.name}{'' if kind == 'gauge' else '_total'}"
        lines += [f"# HELP {name} {HELP.get(one.name, one.name)}", f"# TYPE {name} {kind}"]
        lines.append(f"{name} {getattr(engine, one.name)}")
    name = f"{PREFIX}http_replies_total"
    lines += [f"# HELP {name} replies by path and status", f"# TYPE {name} counter"]
    lines += [
        f'{name}{{path="{path}",status="{status}"}} {count}'
        for (path, status), count in sorted(http.replies.items())
    ]
    name = f"{PREFIX}stream_errors_total"
    lines += [f"# HELP {name} streams that an error ended", f"# TYPE {name} counter"]
    lines.append(f"{name} {http.stream_errors}")
    return "\n".join(lines) + "\n"
