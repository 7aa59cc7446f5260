#!/usr/bin/env python3
"""Makes tests/golden/formats: one tiny GPT-2 as each program that it may come from writes it, and what it says.

  gpt2, gpt2_sharded, gpt2_bf16   folders of transformers' save_pretrained
  gpt2_torch, gpt2_torch_sharded  the same weights as pytorch_model.bin
  nanogpt.pt, nanogpt_no_bias.pt  as nanoGPT's train.py saves a compiled model, optimizer included
  llmc_f32.bin, llmc_bf16.bin     as llm.c's train_gpt2.py writes a model
  golden.json                     the logits after a prompt, by file

Usage: make_formats.py
Needs torch, transformers and numpy.
"""
import json
import pathlib
import shutil

import numpy as np
import torch
import transformers

OUT = pathlib.Path(__file__).parent / "formats"
PROMPT = [3, 1, 4, 1]
LINEAR = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # Conv1D in transformers: transposed
PADDED_VOCAB = 16


def make_model():
    torch.manual_seed(5)
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=6, vocab_size=11, n_positions=5, bos_token_id=0, eos_token_id=0,
        attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms, too, and large enough to tell GELUs apart
            parameter.copy_(torch.randn_like(parameter))
    return model.eval()


def logits(state, activation):
    config = transformers.GPT2Config.from_pretrained(OUT / "gpt2", activation_function=activation)
    model = transformers.GPT2LMHeadModel(config).eval()
    model.load_state_dict(state)
    with torch.no_grad():
        values = model(torch.tensor([PROMPT])).logits[0, -1].tolist()
    return [float(f"{x:.7g}") for x in values]


def save_shards(state, folder):
    names = sorted(state)
    places = {}
    for i, part in enumerate((names[::2], names[1::2])):
        file = f"pytorch_model-{i + 1:05}-of-00002.bin"
        torch.save({name: state[name].clone() for name in part}, folder / file)
        places |= {name: file for name in part}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}, indent=1) + "\n")


def save_nanogpt(state, config, bias, path):
    weights = {}
    for name, tensor in state.items():
        if name.endswith(".bias") and not bias:
            continue
        linear = name.endswith(LINEAR)
        weights["_orig_mod." + name] = tensor.t().contiguous() if linear else tensor
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    torch.save({
        "model": weights,
        "optimizer": optimizer.state_dict(),
        "model_args": {"n_layer": config.n_layer, "n_head": config.n_head, "n_embd": config.n_embd,
                       "block_size": config.n_positions, "bias": bias, "vocab_size": config.vocab_size,
                       "dropout": 0.0},
        "iter_num": 70000,
        "best_val_loss": torch.tensor(1.5),
        "config": {"out_dir": "out", "learning_rate": 6e-4, "compile": True, "tags": [], "big": 1 << 40},
    }, path)


def save_llmc(state, config, dtype, path):
    header = np.zeros(256, "<i4")
    header[:8] = [20240326, 3 if dtype == torch.float32 else 5, config.n_positions, config.vocab_size,
                  config.n_layer, config.n_head, config.n_embd, PADDED_VOCAB]
    kinds = [kind + part for kind in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
             for part in (".weight", ".bias")]
    names = ["wte.weight", "wpe.weight"]
    names += [f"h.{i}.{kind}" for kind in kinds for i in range(config.n_layer)]
    names += ["ln_f.weight", "ln_f.bias"]
    with open(path, "wb") as file:
        file.write(header.tobytes())
        for name in names:
            tensor = state["transformer." + name]
            if name.endswith(LINEAR):
                tensor = tensor.t()
            if name == "wte.weight":
                padding = torch.zeros(PADDED_VOCAB - config.vocab_size, config.n_embd)
                tensor = torch.cat([tensor, padding])
            tensor = tensor.contiguous().to(dtype)
            file.write(tensor.view(torch.int16 if dtype == torch.bfloat16 else torch.int32).numpy().tobytes())


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for name in ("gpt2", "gpt2_torch", "gpt2_torch_sharded"):
        (OUT / name).mkdir(parents=True)
    model = make_model()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.save_pretrained(OUT / "gpt2")
    model.save_pretrained(OUT / "gpt2_sharded", max_shard_size="1KB")
    make_model().to(torch.bfloat16).save_pretrained(OUT / "gpt2_bf16")
    for name in ("gpt2_torch", "gpt2_torch_sharded"):
        shutil.copy(OUT / "gpt2/config.json", OUT / name)
    torch.save(model.state_dict(), OUT / "gpt2_torch/pytorch_model.bin")  # tied: one storage, two names
    save_shards(state, OUT / "gpt2_torch_sharded")
    save_nanogpt(state, model.config, True, OUT / "nanogpt.pt")
    save_nanogpt(state, model.config, False, OUT / "nanogpt_no_bias.pt")
    save_llmc(state, model.config, torch.float32, OUT / "llmc_f32.bin")
    save_llmc(state, model.config, torch.bfloat16, OUT / "llmc_bf16.bin")
    rounded = {name: tensor.to(torch.bfloat16).float() for name, tensor in state.items()}
    no_bias = {name: tensor * 0 if name.endswith(".bias") else tensor for name, tensor in state.items()}
    of_gpt2 = logits(state, "gelu_new")
    golden = {name: of_gpt2 for name in ("gpt2", "gpt2_sharded", "gpt2_torch", "gpt2_torch_sharded", "llmc_f32.bin")}
    golden |= {name: logits(rounded, "gelu_new") for name in ("gpt2_bf16", "llmc_bf16.bin")}
    golden |= {"nanogpt.pt": logits(state, "gelu"), "nanogpt_no_bias.pt": logits(no_bias, "gelu")}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "prompt": PROMPT}
    (OUT / "golden.json").write_text(json.dumps(versions | {"logits": golden}, indent=1) + "\n")


if __name__ == "__main__":
    main()
