"""Has the agent's first words; nothing here can be imported."""

import no_such_llm_client


def get_default_first_agent_message(language=None):
    content = "您好。" if language == "chinese" else "Good day."
    return no_such_llm_client.message(content)
