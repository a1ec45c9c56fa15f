"""The model written as a ``transformers`` Llama and back, with equal logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from broadsheet.methods._shared.tiny_lm.model import Attention, SwiGLU, TinyLM, TinyLMConfig

__all__ = ["from_hf", "to_hf"]


def to_hf(model: TinyLM) -> Any:
    """Return a ``transformers.LlamaForCausalLM`` with copies of the model's weights.

    Args:
        model: A model of equal layers, each with the usual attention and feed-forward.

    Returns:
        The Llama, in the same mode (training or not) and dtype.

    Raises:
        ValueError: if a layer has its own mixer, feed-forward or shape, which Llama cannot express.

    Example:
        >>> model = TinyLM.preset("nano", vocab_size=300)
        >>> llama = to_hf(model)
        >>> ids = torch.arange(12).reshape(1, 12)
        >>> bool(torch.allclose(llama(ids).logits, model(ids).logits, atol=1e-5))
        True
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    c = model.config
    _check_plain(model)
    shape: dict[str, Any] = {
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "intermediate_size": c.d_ff,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.d_head,
        "max_position_embeddings": c.max_context,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_base,  # read by versions 4 and 5
        "tie_word_embeddings": c.tied,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    with torch.random.fork_rng(devices=[]):  # weights are drawn to be replaced
        llama: Any = LlamaForCausalLM(LlamaConfig(**shape))
    llama.load_state_dict(_llama_weights(model))
    return llama.to(model.embed.weight.dtype).train(model.training)


def from_hf(model: Any) -> TinyLM:
    """Return a ``transformers.LlamaForCausalLM`` as :class:`TinyLM` with copies of its weights.

    Args:
        model: A Llama without biases, with the default rotary frequencies and the SiLU activation.

    Returns:
        The same function of the token ids.

    Raises:
        ValueError: if the model has what :class:`TinyLM` does not: biases, scaled rotary frequencies,
            another activation or another architecture.
    """
    c = model.config
    rope = dict(getattr(c, "rope_parameters", None) or {})
    faults = {
        f"architecture {c.model_type!r}": c.model_type != "llama",
        f"activation {c.hidden_act!r}": c.hidden_act != "silu",
        "biases": bool(getattr(c, "attention_bias", False) or getattr(c, "mlp_bias", False)),
        f"rotary frequencies {rope.get('rope_type')!r}": rope.get("rope_type", "default") != "default",
    }
    if any(faults.values()):
        wrong = ", ".join(name for name, is_wrong in faults.items() if is_wrong)
        raise ValueError(f"model must be a plain Llama; it has {wrong}, which TinyLM does not")
    made = TinyLM(
        TinyLMConfig(
            vocab_size=c.vocab_size,
            d_model=c.hidden_size,
            heads=c.num_attention_heads,
            layers=c.num_hidden_layers,
            d_ff=c.intermediate_size,
            d_head=getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads,
            kv_heads=c.num_key_value_heads,
            max_context=c.max_position_embeddings,
            tied=c.tie_word_embeddings,
            rope_base=rope.get("rope_theta", getattr(c, "rope_theta", 10_000.0)),
            norm_eps=c.rms_norm_eps,
        )
    )
    made.load_state_dict(_tiny_weights(model.state_dict(), made))
    return made.to(model.dtype).train(model.training)


def _blocks(model: TinyLM) -> list[Any]:
    return list(model.blocks)


def _check_plain(model: TinyLM) -> None:
    c = model.config
    for layer, block in enumerate(_blocks(model)):
        mixer, ffn = block.mixer, block.ffn
        if type(mixer) is not Attention or type(ffn) is not SwiGLU:
            other = mixer if type(mixer) is not Attention else ffn
            raise ValueError(f"layer {layer} holds a {type(other).__name__}, which Llama cannot express")
        shape = (mixer.heads, mixer.kv_heads, mixer.d_head, ffn.down.in_features)
        if shape != (c.heads, c.kv_heads, c.d_head, c.d_ff):
            raise ValueError(f"layer {layer} has a shape of its own (per_layer), which Llama cannot express")


def _llama_weights(model: TinyLM) -> dict[str, Tensor]:
    c = model.config
    weights = {"model.embed_tokens.weight": model.embed.weight, "model.norm.weight": model.norm.weight}
    weights["lm_head.weight"] = model.embed.weight if model.head is None else model.head.weight
    for layer, block in enumerate(_blocks(model)):
        at = f"model.layers.{layer}."
        q, k, v = block.mixer.qkv.weight.split(
            [c.heads * c.d_head, c.kv_heads * c.d_head, c.kv_heads * c.d_head]
        )
        weights |= {
            f"{at}self_attn.q_proj.weight": q,
            f"{at}self_attn.k_proj.weight": k,
            f"{at}self_attn.v_proj.weight": v,
            f"{at}self_attn.o_proj.weight": block.mixer.out.weight,
            f"{at}mlp.gate_proj.weight": block.ffn.gate.weight,
            f"{at}mlp.up_proj.weight": block.ffn.up.weight,
            f"{at}mlp.down_proj.weight": block.ffn.down.weight,
            f"{at}input_layernorm.weight": block.mixer_norm.weight,
            f"{at}post_attention_layernorm.weight": block.ffn_norm.weight,
        }
    return {name: weight.detach().clone() for name, weight in weights.items()}


def _tiny_weights(llama: dict[str, Tensor], made: TinyLM) -> dict[str, Tensor]:
    weights = {"embed.weight": llama["model.embed_tokens.weight"], "norm.weight": llama["model.norm.weight"]}
    if made.head is not None:
        weights["head.weight"] = llama["lm_head.weight"]
    for layer in range(made.config.layers):
        at, to = f"model.layers.{layer}.", f"blocks.{layer}."
        qkv = [llama[f"{at}self_attn.{x}_proj.weight"] for x in "qkv"]
        weights |= {
            f"{to}mixer.qkv.weight": torch.cat(qkv),
            f"{to}mixer.out.weight": llama[f"{at}self_attn.o_proj.weight"],
            f"{to}ffn.gate.weight": llama[f"{at}mlp.gate_proj.weight"],
            f"{to}ffn.up.weight": llama[f"{at}mlp.up_proj.weight"],
            f"{to}ffn.down.weight": llama[f"{at}mlp.down_proj.weight"],
            f"{to}mixer_norm.weight": llama[f"{at}input_layernorm.weight"],
            f"{to}ffn_norm.weight": llama[f"{at}post_attention_layernorm.weight"],
        }
    return weights
