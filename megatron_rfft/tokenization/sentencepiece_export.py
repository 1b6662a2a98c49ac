"""A SentencePiece BPE model as a Hugging Face ``tokenizer.json``, proven to give equal ids."""

from collections.abc import Iterable
from pathlib import Path

from megatron_rfft.common.errors import UserError

_SPACE = "▁"  # how SentencePiece writes a space inside pieces
_BPE_MODEL = 2
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4
_PROBES = (
    "Follow the given rule to solve the question.\nrule:\ndef f(xs):\n    while xs:\n        x = xs.pop(0)\n",
    "now, total = 17 + 25 = 42\nxs = [['Ana', 'flip'], ['Bo', 'keep']]\n\n\ttab  two spaces   three ",
    "naïve café — 北京 🙂 \x07 100% {}[]()<>|\\/'\"",
)


def to_tokenizer_json(path: Path, texts: Iterable[str] = ()) -> str:
    """The ``tokenizer.json`` text of the model at ``path``.

    Raises UserError if the model is not BPE with identity normalization, or if a piece, a probe or one of ``texts``
    would get other ids than SentencePiece gives it.
    """
    from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    _check_supported(proto, path)
    vocabulary = {piece.piece: index for index, piece in enumerate(proto.pieces)}
    normal = [piece.piece for piece in proto.pieces if piece.type == _NORMAL]
    unknown = proto.pieces[proto.trainer_spec.unk_id].piece
    model = models.BPE(vocabulary, _merges(normal, vocabulary), unk_token=unknown, byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", _SPACE)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([piece.piece for piece in proto.pieces if piece.type == _CONTROL])
    symbols = [piece.piece for piece in proto.pieces if piece.type == _USER_DEFINED]
    tokenizer.add_tokens([AddedToken(symbol, normalized=True) for symbol in symbols])
    processor = SentencePieceProcessor(model_proto=path.read_bytes())
    for text in (*_PROBES, *(piece.replace(_SPACE, " ") for piece in normal), *texts):
        expected, got = processor.encode(text), tokenizer.encode(text, add_special_tokens=False).ids
        if expected != got:
            raise UserError(f"{path}: tokenizer.json would give {got} for {text!r}, SentencePiece gives {expected}")
    return tokenizer.to_str(pretty=True)


def _merges(pieces: list[str], vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Every split of a piece into two pieces is a merge; earlier pieces merge first, as their scores say."""
    known = set(pieces)
    return [
        (piece[:cut], piece[cut:])
        for piece in sorted(pieces, key=vocabulary.__getitem__)
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    ]


def _check_supported(proto, path: Path) -> None:
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    lossless = not (
        normalizer.add_dummy_prefix or normalizer.remove_extra_whitespaces or normalizer.precompiled_charsmap
    )
    if not (trainer.model_type == _BPE_MODEL and lossless and trainer.byte_fallback):
        raise UserError(
            f"{path} cannot become a tokenizer.json with equal ids: it must be a BPE model with identity "
            "normalization, no dummy prefix and byte fall-back, as rfft train-tokenizer makes"
        )
