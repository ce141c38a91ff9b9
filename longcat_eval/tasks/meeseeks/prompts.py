"""What extractor and scorer are asked: the official prompts out of the user's checkout, else our own.

The official ones have no licence, so that they are read, as text, from `src_code/prompts` of the checkout
that holds the data. Ours are for sets that lie without one. Both go out as one user message.
"""

import ast
import warnings
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError

FOLDER = Path("src_code/prompts")


class Prompts(NamedTuple):
    """Templates: {input_instruction}, {model_response} and {extraction_prompt} in `single` and `multi`,
    {model_response} and {instruction} in the two of programs, {input}, {output} and {question} in `scorer`.

    Without prompts for programs, such parts are asked for as texts.
    """

    single: str
    multi: str
    program_single: str
    program_multi: str
    scorer: str
    origin: str


FILES = {
    "single": ("General_Extractor_Single.py", "EXTRACTION_PROMPT_SINGLE"),
    "multi": ("General_Extractor_Multi.py", "EXTRACTION_PROMPT_MULTI"),
    "program_single": ("Coding_Extractor_Single.py", "EXTRACTION_PROMPT_BY_CODING_SINGLE"),
    "program_multi": ("Coding_Extractor.py", "EXTRACTION_PROMPT_BY_CODING"),
    "scorer": ("General_Evaluator.py", "EVALUATION_PROMPT"),
}

_CUT, _PROGRAM = (
    ("input_instruction", "model_response", "extraction_prompt"),
    ("model_response", "instruction"),
)
PLACES = {
    "single": _CUT,
    "multi": _CUT,
    "program_single": _PROGRAM,
    "program_multi": _PROGRAM,
    "scorer": ("input", "output", "question"),
}

_HEAD = """\
下面有一条用户指令、一个模型对它的回复，以及一段说明。请从回复里找出说明所指的内容，逐字照抄，不改写、不补充、不评价。

用户指令：
{input_instruction}

模型回复：
{model_response}

要找的内容：
{extraction_prompt}

"""

OWN = Prompts(
    single=_HEAD
    + '只输出一个恰有一个字符串的 JSON 列表，例如 ["……"]。如果整条回复就是要找的内容，只输出 ALL。',
    multi=_HEAD + '只输出一个 JSON 字符串列表，每一条一个元素，不带编号，例如 ["……", "……"]。没有则输出 []。',
    program_single="",
    program_multi="",
    scorer="""\
下面有一条用户指令、一个模型对它的回复，以及一个关于回复的问题。只就这个问题判断；指令仅供了解背景。

用户指令：
{input}

模型回复：
{output}

问题：
{question}

先用一句话说明理由，最后单独一行写“判断：是”或“判断：否”。""",
    origin="own",
)


def find_prompts(checkout: Path | None) -> Prompts:
    """Return the official prompts of a checkout that has them, else our own.

    Raises `EnvironmentUnusableError` where a checkout has only some, or not as they are known.
    """
    if checkout is None or not (checkout / FOLDER).is_dir():
        return OWN
    texts = {field: _read(checkout / FOLDER / file, name) for field, (file, name) in FILES.items()}
    for field, (file, _) in FILES.items():
        try:
            texts[field].format(**dict.fromkeys(PLACES[field], ""))
        except (KeyError, IndexError, ValueError):
            raise EnvironmentUnusableError(
                f"{checkout / FOLDER / file} is not the known file: it has other places to fill in"
            ) from None
    return Prompts(**texts, origin="official")


def _read(path: Path, name: str) -> str:
    """The text that a Python file gives to `name`; nothing of the file is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # their texts hold regular expressions, which are odd escapes
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot read {path}: {error.strerror}") from None
    except (SyntaxError, ValueError):
        raise EnvironmentUnusableError(f"{path} is not the known file: it is no Python") from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if name in names and isinstance(node.value.value, str):
                return node.value.value
    raise EnvironmentUnusableError(f"{path} is not the known file: it has no {name}")
