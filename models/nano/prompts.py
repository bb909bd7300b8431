"""The tokenizer and the exact framing of a conversation (ChatML, in the words KVzip uses for Qwen)."""
import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 4096
END_OF_TEXT, TURN, END_OF_TURN = 0, 1, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
TASK = "Given the context, answer to the following question or request without explanation.\n\n"
POSTFIX = "<|im_end|>\n<|im_start|>assistant\n"
NEXT_TURN = "\n<|im_start|>user"            # follows the <|im_end|> that closes an answer; a query comes next
REPEAT = "\n\nRepeat the previous context exactly."
REPEAT_PART = "\n\nRepeat the part of the previous context exactly, starting with "
REPEAT_LEAD = 8                             # so many tokens of the context close REPEAT_PART

# Words, single digits, runs of punctuation, white space: Qwen's pattern.
PIECES = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")

CHAT_TEMPLATE = (
    "{% if messages and messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant."
    "<|im_end|>\n{% endif %}{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def train_tokenizer(corpus, extra, seed=1):
    """Byte-level BPE over a sample of the corpus and of generated material, so that names and keys are in it."""
    rng = random.Random(seed)
    texts = [corpus.slice(rng, kind, 20000) for kind in corpus.documents for _ in range(150)] + list(extra)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def save_tokenizer(tokenizer, folder):
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 8192,
                "bos_token": SPECIAL[END_OF_TEXT], "eos_token": SPECIAL[END_OF_TURN],
                "pad_token": SPECIAL[END_OF_TEXT], "add_bos_token": False, "add_eos_token": False,
                "clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


class Prompts:
    """Text to ids.  Prompt, context and query are tokenised apart and joined as ids."""

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.system = self.encode(SYSTEM + TASK)
        self.bare_system = self.encode(SYSTEM)
        self.postfix = self.encode(POSTFIX)
        self.next_turns = [self.encode(NEXT_TURN), self.encode(NEXT_TURN + "\n")]     # both are trained

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def cut(self, text, limit):
        """Ids of the text, at most `limit` of them, and how many characters those cover."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        if len(encoding.ids) <= limit:
            return encoding.ids, len(text)
        return encoding.ids[:limit], encoding.offsets[limit][0]

    def query(self, text):
        return self.encode("\n\n" + text.strip()) + self.postfix

    def repeat(self, context, start):
        """The query of a reconstruction input whose chunk begins at `start` of the context ids."""
        if start == 0:
            return self.encode(REPEAT) + self.postfix
        return self.encode(REPEAT_PART) + context[start - REPEAT_LEAD:start] + self.postfix
