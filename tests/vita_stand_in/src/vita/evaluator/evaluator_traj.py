"""Has the text that the judge is shown; nothing here can be imported."""

import no_such_llm_client


class TrajectoryEvaluator:
    @classmethod
    def _evaluate_window(cls, window, states):
        window_content, current_rubrics_str = str(window), str(states)
        user_prompt = f"Window {{\n{window_content}\n}}\nRubrics\n{current_rubrics_str}"
        return no_such_llm_client.generate(user_prompt)
