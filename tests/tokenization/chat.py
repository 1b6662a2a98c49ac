"""A chat model's tokenizer made of a small vocabulary."""

import json
from pathlib import Path

from tokenizers import Tokenizer as Backend

from megatron_rfft.tokenization.tokenizers import load_tokenizer

TEMPLATE = (
    "{% for message in messages %}{% if message.content == 'reject' %}{{ raise_exception('no such thing') }}{% endif %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def chat_folder_of(tokenizer: Path, folder: Path, template: str = TEMPLATE) -> Path:
    """The vocabulary ``tokenizer`` as an HF folder with the special tokens and the template of a chat model."""
    load_tokenizer(tokenizer).save_pretrained(folder)
    backend = Backend.from_file(str(folder / "tokenizer.json"))
    backend.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    backend.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
