"""Official DiT parameter names and what Diffusers' DiTTransformer2DModel calls them. Standard library only.

A rule is (official name, Diffusers' names): several where Diffusers splits (q, k and v) or copies.
"""

SPLIT = {"attn.qkv": ["attn1.to_q", "attn1.to_k", "attn1.to_v"]}
IN_BLOCK = {"attn.proj": "attn1.to_out.0", "mlp.fc1": "ff.net.0.proj", "mlp.fc2": "ff.net.2",
            "adaLN_modulation.1": "norm1.linear"}
EMBEDDERS = {"t_embedder.mlp.0": "timestep_embedder.linear_1", "t_embedder.mlp.2": "timestep_embedder.linear_2"}
OUTSIDE = {"x_embedder.proj": "pos_embed.proj", "final_layer.linear": "proj_out_2",
           "final_layer.adaLN_modulation.1": "proj_out_1"}
TABLE = "y_embedder.embedding_table.weight"
POSITIONS = "pos_embed"  # computed by Diffusers, not stored


def official_names(depth):
    """Every tensor of an official checkpoint with so many blocks."""
    layers = [*OUTSIDE, *EMBEDDERS]
    layers += [f"blocks.{i}.{layer}" for i in range(depth) for layer in (*SPLIT, *IN_BLOCK)]
    return sorted([POSITIONS, TABLE, *(f"{layer}.{part}" for layer in layers for part in ("weight", "bias"))])


def diffusers_names(official, depth):
    """Where an official tensor goes: [name], or three names to cut it into, or depth names to copy it to.

    Gives (names, how), how one of "same", "split", "copy", "none".
    """
    if official == POSITIONS:
        return [], "none"
    if official == TABLE:
        return [f"transformer_blocks.{i}.norm1.emb.class_embedder.embedding_table.weight"
                for i in range(depth)], "copy"
    layer, part = official.rsplit(".", 1)
    if layer in EMBEDDERS:
        return [f"transformer_blocks.{i}.norm1.emb.{EMBEDDERS[layer]}.{part}" for i in range(depth)], "copy"
    if layer in OUTSIDE:
        return [f"{OUTSIDE[layer]}.{part}"], "same"
    _, block, inside = layer.split(".", 2)
    if inside in SPLIT:
        return [f"transformer_blocks.{block}.{name}.{part}" for name in SPLIT[inside]], "split"
    return [f"transformer_blocks.{block}.{IN_BLOCK[inside]}.{part}"], "same"
