"""A small language model trained from scratch: text, tokenizer, model, training and evaluation.

Every measurement that needs "a small model trained on this machine" trains this one, so that figures are
comparable and their cost is known. Text comes from installed packages, the standard library, a file of the
user's or a generator; nothing is downloaded.

Example:
    >>> from broadsheet.methods._shared.tiny_lm import TinyLM, evaluate, load_corpus, train
    >>> corpus = load_corpus("generated")
    >>> model = TinyLM.preset("nano", vocab_size=corpus.vocab_size, seed=0)
    >>> model.non_embedding_parameters
    100672
    >>> run = train(model, corpus, steps=2, batch=4, context=32, eval_tokens=2_000)
    >>> run.tokens, list(run.curve.columns)
    (256, ['step', 'tokens', 'loss', 'bpb', 'train_loss', 'lr', 'cpu_s'])
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "corpora": ["Corpus", "Split", "available", "corpus_domains", "load_corpus"],
        "documents": ["BIBLES", "CORPORA"],
        "evaluation": ["Evaluation", "evaluate"],
        "huggingface": ["from_hf", "to_hf"],
        "linear_cross_entropy": ["linear_cross_entropy"],
        "model": ["PRESETS", "Attention", "RMSNorm", "SwiGLU", "TinyLM", "TinyLMConfig", "TinyLMOutput"],
        "streams": ["MarkovSource", "Stream", "generated_documents"],
        "tokenizers": ["BPETokenizer", "ByteTokenizer", "CharacterTokenizer"],
        "training": ["NotFinite", "TrainingRun", "train"],
    },
)
