"""InternLM2's tokenizer from its ``tokenizer.model``, without the Python code that ships beside it.

``InternLM2Tokenizer`` splits a text at its added tokens, such as ``<|im_start|>``, and gives each part to SentencePiece
as it is. The same here with the ``tokenizers`` library: byte-pair merges in the order of the pieces' scores, bytes for
what has no piece, a word-start piece before each part only if the model's own settings say so. Added tokens whose id
lies within the pieces take that piece's place, as InternLM2's own fast tokenizer has it; the others follow.

The published file was not at hand when this was written, so every load compares the result with SentencePiece itself on
texts of several kinds (`PROBES`) and refuses a file that it reads otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import AddedToken
from transformers.convert_slow_tokenizer import import_protobuf
from transformers.tokenization_utils_base import generate_merges

from iar.errors import UserError
from iar.models.assembly import need_sentencepiece

PROBES = (
    *("user\n", "assistant\n", "system\n", "\n", "\n\n", " ", "  two  spaces ", "\ttab\r\nend", "word"),
    'Is there a spoon? No: 3 forks, 12.5 % of 2024\'s {"json": [1, 2]} -- it\'s `code`, "isn\'t" it...',
    "def f(x):\n    return x ** 2  # 100000 times\n\n\n    pass",
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。",
    "Übergrößenträger, naïve café; ﬁne ＡＢＣ ½ ①, Привет, שלום, नमस्ते, こんにちは, 🙂👩‍🚀",
)
_NORMAL, _USER_DEFINED = 1, 4  # kinds of piece in a SentencePiece model


def internlm2_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of ``tokenizer.model`` with the added tokens that its config lists; ``<s>`` opens every text.

    Raises:
        UserError: A file or package is missing, or the model is of a kind that is not read here.
    """
    file = folder / "tokenizer.model"
    if not file.is_file():
        raise UserError(f"no {file}: InternLM2's tokenizer is read from it")
    need_sentencepiece(file)
    from sentencepiece import SentencePieceProcessor

    proto = import_protobuf().ModelProto()
    proto.ParseFromString(file.read_bytes())
    prefix = proto.normalizer_spec.add_dummy_prefix
    added = _added_tokens(folder)
    own = [piece.piece for i, piece in enumerate(proto.pieces) if piece.type == _USER_DEFINED and i not in added]
    if proto.trainer_spec.model_type != proto.trainer_spec.BPE or (prefix and own):
        raise UserError(
            f"{file} is not a byte-pair model like InternLM2's: use a checkpoint converted for transformers"
        )
    scores = {p.piece: p.score for i, p in enumerate(proto.pieces) if p.type == _NORMAL and i not in added}
    merges = generate_merges({piece: i for i, piece in enumerate(scores)}, scores)
    pieces = [added[i].content if i in added else piece.piece for i, piece in enumerate(proto.pieces)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        BPE(vocabulary, merges, unk_token=pieces[proto.trainer_spec.unk_id], fuse_unk=True, byte_fallback=True)
    )
    start = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*start, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", left=1)] if prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    tokenizer.add_tokens([AddedToken(piece, normalized=True, special=False) for piece in own])
    tokenizer.add_tokens([added[i] for i in sorted(added)])
    for i, token in added.items():
        if tokenizer.token_to_id(token.content) != i:
            raise UserError(
                f"{folder} gives {token.content!r} the id {i}, which does not follow its {len(pieces)} pieces"
            )
    sentencepiece = SentencePieceProcessor(model_file=str(file))
    for text in PROBES:
        if tokenizer.encode(text, add_special_tokens=False).ids != sentencepiece.encode(text):
            raise UserError(
                f"{file} gives other tokens than SentencePiece does, on {text!r}: use a converted checkpoint"
            )
    first = proto.trainer_spec.bos_id
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{pieces[first]} $A", special_tokens=[(pieces[first], first)]
    )
    return tokenizer


def _added_tokens(folder: Path) -> dict[int, AddedToken]:
    """By id: ``added_tokens_decoder`` of tokenizer_config.json, or the older added_tokens.json."""
    config, old = folder / "tokenizer_config.json", folder / "added_tokens.json"
    listed = json.loads(config.read_text()).get("added_tokens_decoder") if config.is_file() else None
    if listed:
        return {int(i): AddedToken(**token) for i, token in listed.items()}
    if old.is_file():
        tokens = json.loads(old.read_text())
        return {i: AddedToken(token, special=True, normalized=False) for token, i in tokens.items()}
    raise UserError(f"no added tokens such as <IMG_CONTEXT> in {config} or {old.name}: the checkpoint is incomplete")
