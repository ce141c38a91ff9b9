"""What an episode keeps of each thing that a Terminus agent did."""

from longcat_eval.runners.agent.episode import Episode

KEPT_INPUT = 1_000


def note(episode: Episode, tool: str, written: str, seconds: float, **facts: object) -> None:
    """Add one entry to `episode.commands`, as `episode_record` describes them; `facts` win."""
    kept = written[:KEPT_INPUT].encode("utf-8", "replace").decode()
    episode.commands.append(
        {
            "step": episode.steps,
            "tool": tool,
            "input": kept,
            "input_chars": len(written),
            "error": False,
            "seconds": round(seconds, 3),
            "output_chars": 0,
            **facts,
        }
    )
