"""A byte-level BPE tokenizer in a checkpoint's own files, with LongCat's markers at the tiny model's ids."""

import json
from pathlib import Path

from longcat_eval.model_backend.longcat.byte_tokenizer import MARKERS, SPECIAL, VOCABULARY
from longcat_eval.model_backend.longcat.tokenizer import byte_alphabet


def write_tokenizer(folder: Path, template: str | None = None) -> None:
    """tokenizer.json and tokenizer_config.json; `template` goes into its own file, as hubs have it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {marker: i for i, marker in enumerate(MARKERS)}
    letters = byte_alphabet()
    for letter in sorted(letters, key=letters.__getitem__):
        vocabulary[letter] = len(vocabulary)
    vocabulary["th"] = len(vocabulary)
    vocabulary |= {f"<filler_{i}>": i for i in range(len(vocabulary), VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("t", "h")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(marker, special=True) for marker in SPECIAL])
    tokenizer.add_tokens([AddedToken(marker, special=False) for marker in MARKERS[len(SPECIAL) :]])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[3],
        "unk_token": SPECIAL[0],
        "additional_special_tokens": list(SPECIAL[4:]),
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
