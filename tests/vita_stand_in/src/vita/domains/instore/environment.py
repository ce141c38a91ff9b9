"""The instore domain."""

from vita.environment.environment import Environment, Toolkit
from vita.utils.schema_utils import set_global_language


def get_environment(db=None, language=None):
    from vita.environment.environment import get_agent_policy

    if language is not None:
        set_global_language(language)
    return Environment("instore", get_agent_policy(language), Toolkit(db or {}), ["instore"])
