"""deepseek.converter.from_pytorch on randomly initialised architectures of torchvision, timm and transformers.

Each must convert in one call, give outputs within 1e-4 of PyTorch's (relative to the largest), and, below 30M
parameters, gradients of a weighted mean of squares within 1e-3 (of float64 where float32's differ; where float64's
differ too, differences of PyTorch's own forward pass say whose is wrong). `python architectures.py NAME` runs one and says what it does.
"""

from __future__ import annotations

import functools
import gc
import itertools
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from lib.gradients import contradicted, differing, gradients
from lib.record import Record, fingerprint

PYTORCH_WRONG = "PyTorch's own gradient contradicts its forward pass, ours agrees with it"
Case = tuple[str, Callable[[], Any], Callable[[], Any]]  # name, makes the model, makes the inputs

TORCHVISION = {  # name: image size
    "alexnet": 64, "vgg11": 32, "vgg11_bn": 32, "vgg16": 32, "resnet18": 64, "resnet34": 64, "resnet50": 64,
    "resnext50_32x4d": 64, "wide_resnet50_2": 64, "squeezenet1_0": 64, "squeezenet1_1": 64, "densenet121": 64,
    "densenet169": 64, "googlenet": 64, "inception_v3": 80, "mobilenet_v2": 64, "mobilenet_v3_small": 64,
    "mobilenet_v3_large": 64, "mnasnet0_5": 64, "mnasnet1_0": 64, "shufflenet_v2_x0_5": 64, "shufflenet_v2_x1_0": 64,
    "efficientnet_b0": 64, "efficientnet_b1": 64, "efficientnet_v2_s": 64, "regnet_y_400mf": 64, "regnet_x_400mf": 64,
    "convnext_tiny": 64, "vit_b_16": 224, "swin_t": 64, "swin_v2_t": 64, "maxvit_t": 224,
    "segmentation.fcn_resnet50": 64, "segmentation.deeplabv3_mobilenet_v3_large": 64,
    "segmentation.lraspp_mobilenet_v3_large": 64, "video.r3d_18": (4, 32), "video.mc3_18": (4, 32),
    "video.r2plus1d_18": (4, 32),
}  # fmt: skip

TIMM = """
    resnet10t resnet14t resnet26d seresnet18 skresnet18 resnest14d ecaresnet26t res2net50_26w_4s cspresnet50
    cspdarknet53 darknet17 dla34 dla46_c dpn48b ese_vovnet19b_dw hardcorenas_a mobilenetv4_conv_small
    mobileone_s0 mobilenetv2_035 mobilenetv3_small_050 lcnet_050 tinynet_e efficientnet_lite0 efficientnetv2_rw_t
    fbnetc_100 spnasnet_100 mixnet_s ghostnet_050 ghostnetv2_100 semnasnet_075 repvgg_a0 rexnet_100 regnetx_002
    regnety_002 regnetz_005 hrnet_w18_small selecsls42b nf_regnet_b0 nf_resnet26 nfnet_f0 gernet_s
    convnext_atto convnext_femto convnextv2_atto inception_next_atto convmixer_768_32 xception41 inception_v4
    vit_tiny_patch16_224 deit_tiny_patch16_224 deit3_small_patch16_224 beit_base_patch16_224 cait_xxs24_224
    xcit_nano_12_p16_224 crossvit_tiny_240 coat_lite_tiny convit_tiny levit_128s levit_conv_128s pit_ti_224
    poolformer_s12 poolformerv2_s12 caformer_s18 convformer_s18 mvitv2_tiny pvt_v2_b0 twins_pcpvt_small
    twins_svt_small swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 maxvit_rmlp_pico_rw_256
    coatnet_nano_rw_224 mixer_s32_224 gmlp_ti16_224 resmlp_12_224 mobilevit_xxs mobilevitv2_050 edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 efficientvit_b0 efficientvit_m0 fastvit_t8 repvit_m0_9 tiny_vit_5m_224
    nest_tiny_jx visformer_tiny volo_d1_224 focalnet_tiny_srf davit_tiny hiera_tiny_224 eva02_tiny_patch14_224
    vit_relpos_small_patch16_224 samvit_base_patch16 starnet_s1 vovnet39a hgnetv2_b0 bat_resnext26ts botnet26t_256
    halonet26t lambda_resnet26t eca_botnext26ts_256 sebotnet33ts_256 tresnet_m vgg11 densenet121
    legacy_seresnet18 tf_efficientnet_b0 tf_mobilenetv3_small_minimal_100
""".split()

_TEXT = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
         "max_position_embeddings": 64}  # fmt: skip
_LLAMA = {**_TEXT, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_GPT = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
_T5 = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
_BART = {"vocab_size": 99, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
         "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
         "max_position_embeddings": 64}  # fmt: skip
_VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32,
        "patch_size": 8}  # fmt: skip

# model class: (kind of inputs, settings of its configuration)
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "BertModel": ("ids", _TEXT),
    "BertForMaskedLM": ("ids", _TEXT),
    "BertForSequenceClassification": ("ids", _TEXT),
    "BertForQuestionAnswering": ("ids", _TEXT),
    "RobertaModel": ("ids", {**_TEXT, "max_position_embeddings": 70}),
    "DistilBertModel": ("ids", {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}),
    "AlbertModel": ("ids", {**_TEXT, "embedding_size": 16}),
    "ElectraModel": ("ids", {**_TEXT, "embedding_size": 16}),
    "MPNetModel": ("ids", _TEXT),
    "DebertaModel": ("ids", _TEXT),
    "DebertaV2Model": ("ids", _TEXT),
    "MobileBertModel": ("ids", {**_TEXT, "embedding_size": 32, "true_hidden_size": 32, "intra_bottleneck_size": 32}),
    "SqueezeBertModel": ("ids", {**_TEXT, "embedding_size": 32}),
    "FNetModel": ("ids", {k: v for k, v in _TEXT.items() if k != "num_attention_heads"}),
    "ConvBertModel": ("ids", {**_TEXT, "embedding_size": 32}),
    "XLMRobertaModel": ("ids", {**_TEXT, "max_position_embeddings": 70}),
    "CamembertModel": ("ids", {**_TEXT, "max_position_embeddings": 70}),
    "ErnieModel": ("ids", _TEXT),
    "NystromformerModel": ("ids", {**_TEXT, "segment_means_seq_len": 12, "num_landmarks": 4}),
    "YosoModel": ("ids", {**_TEXT, "use_expectation": True}),
    "ModernBertModel": ("ids", {**_TEXT, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2}),
    "LayoutLMModel": ("ids", _TEXT),
    "GPT2LMHeadModel": ("ids", _GPT),
    "GPTNeoForCausalLM": ("ids", {"vocab_size": 99, "hidden_size": 32, "num_layers": 2, "num_heads": 4,
                                  "max_position_embeddings": 64, "attention_types": [[["global", "local"], 1]]}),
    "GPTJForCausalLM": ("ids", {**_GPT, "rotary_dim": 4}),
    "GPTNeoXForCausalLM": ("ids", _TEXT),
    "OPTForCausalLM": ("ids", {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                               "ffn_dim": 64, "max_position_embeddings": 64, "word_embed_proj_dim": 32}),
    "BloomForCausalLM": ("ids", {"vocab_size": 99, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "CodeGenForCausalLM": ("ids", {**_GPT, "rotary_dim": 4}),
    "OpenAIGPTLMHeadModel": ("ids", _GPT),
    "LlamaForCausalLM": ("ids", _LLAMA),
    "MistralForCausalLM": ("ids", _LLAMA),
    "Qwen2ForCausalLM": ("ids", _LLAMA),
    "Qwen3ForCausalLM": ("ids", {**_LLAMA, "head_dim": 8}),
    "GemmaForCausalLM": ("ids", {**_LLAMA, "head_dim": 8}),
    "Gemma2ForCausalLM": ("ids", {**_LLAMA, "head_dim": 8}),
    "PhiForCausalLM": ("ids", _LLAMA),
    "Phi3ForCausalLM": ("ids", _LLAMA),
    "StableLmForCausalLM": ("ids", _LLAMA),
    "OlmoForCausalLM": ("ids", _LLAMA),
    "Olmo2ForCausalLM": ("ids", _LLAMA),
    "CohereForCausalLM": ("ids", _LLAMA),
    "Starcoder2ForCausalLM": ("ids", _LLAMA),
    "GraniteForCausalLM": ("ids", _LLAMA),
    "SmolLM3ForCausalLM": ("ids", _LLAMA),
    "Glm4ForCausalLM": ("ids", {**_LLAMA, "head_dim": 8}),
    "FalconForCausalLM": ("ids", {**_TEXT, "alibi": False}),
    "MptForCausalLM": ("ids", {"vocab_size": 99, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}),
    "XGLMForCausalLM": ("ids", {"vocab_size": 99, "d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 64}),
    "MambaForCausalLM": ("ids", {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
    "T5ForConditionalGeneration": ("pair", _T5),
    "T5EncoderModel": ("ids", _T5),
    "MT5ForConditionalGeneration": ("pair", _T5),
    "BartForConditionalGeneration": ("pair", _BART),
    "MBartForConditionalGeneration": ("pair", _BART),
    "PegasusForConditionalGeneration": ("pair", _BART),
    "MarianMTModel": ("pair", {**_BART, "pad_token_id": 0, "decoder_start_token_id": 0}),
    "BlenderbotSmallForConditionalGeneration": ("pair", _BART),
    "ViTModel": ("image", _VIT),
    "ViTForImageClassification": ("image", _VIT),
    "DeiTModel": ("image", _VIT),
    "BeitModel": ("image", _VIT),
    "Dinov2Model": ("image", {**_VIT, "mlp_ratio": 2}),
    "ConvNextModel": ("image", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "image_size": 32}),
    "ResNetModel": ("image", {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}),
    "SegformerModel": ("image", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}),
    "SwinModel": ("image", {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "image_size": 32, "patch_size": 4, "window_size": 4}),
    "CLIPVisionModel": ("image", _VIT),
    "SiglipVisionModel": ("image", _VIT),
    "CLIPTextModel": ("ids", _TEXT),
    "Wav2Vec2Model": ("wave", {**_TEXT, "conv_dim": [16, 16], "conv_stride": [5, 2], "conv_kernel": [10, 3], "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}),
    "HubertModel": ("wave", {**_TEXT, "conv_dim": [16, 16], "conv_stride": [5, 2], "conv_kernel": [10, 3], "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}),
    "WhisperModel": ("mel", {**_BART, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "num_mel_bins": 16, "max_source_positions": 20, "max_target_positions": 20}),
}  # fmt: skip


def _torchvision() -> Iterator[Case]:
    import torch
    import torchvision

    for name, size in TORCHVISION.items():
        shape = (1, 3, size, size) if isinstance(size, int) else (1, 3, size[0], size[1], size[1])
        make = torchvision.models
        for part in name.split("."):
            make = getattr(make, part)
        options: dict[str, Any] = {"weights": None}
        if "segmentation" in name:
            options["weights_backbone"] = None
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False
        yield f"torchvision/{name}", lambda m=make, o=options: m(**o), lambda s=shape: torch.randn(s)


def _timm() -> Iterator[Case]:
    import timm
    import torch

    known = set(timm.list_models())
    for name in TIMM:
        if name not in known:
            continue
        config = timm.get_pretrained_cfg(name)
        fixed = bool(config and config.fixed_input_size) or any(k in name for k in ("levit", "coat", "hiera", "efficientformer", "maxvit", "botnet", "halonet", "lambda"))
        size = config.input_size[-1] if fixed and config else 64
        yield f"timm/{name}", lambda n=name: timm.create_model(n), lambda s=size: torch.randn(1, 3, s, s)


def _inputs(kind: str) -> Any:
    import torch

    ids = torch.randint(3, 90, (2, 12))
    if kind == "ids":
        return {"input_ids": ids}
    if kind == "pair":
        return {"input_ids": ids, "decoder_input_ids": ids[:, :7].clone()}
    if kind == "wave":
        return {"input_values": torch.randn(1, 400)}
    if kind == "mel":
        return {"input_features": torch.randn(1, 16, 40), "decoder_input_ids": ids[:1, :7].clone()}
    return {"pixel_values": torch.randn(2, 3, 32, 32)}


def _transformers() -> Iterator[Case]:
    import transformers

    for name, (kind, settings) in TRANSFORMERS.items():
        cls = getattr(transformers, name, None)
        if cls is not None:
            yield f"transformers/{name}", lambda c=cls, s=settings: c(c.config_class(**s)), lambda k=kind: _inputs(k)


def cases() -> Iterator[Case]:
    yield from _torchvision()
    yield from _timm()
    yield from _transformers()


def _double(example: Any) -> Any:
    if isinstance(example, dict):
        return {k: _double(v) for k, v in example.items()}
    return example.double() if example.is_floating_point() else example


def run_case(case: Case) -> tuple[str, str]:
    """(passed | failed | skipped, why)."""
    import torch

    from deepseek.converter import from_pytorch

    name, make, inputs = case
    torch.manual_seed(0)
    try:
        module = make().eval()
        for p in module.parameters():
            p.requires_grad_(True)
        example = inputs()
        with torch.no_grad():
            module(**example) if isinstance(example, dict) else module(example)
    except Exception as e:
        return "skipped", f"{type(e).__name__}: {e}".splitlines()[0][:200]
    try:
        model = from_pytorch(module, example, tolerance=1e-4, functions="derive")
        if sum(p.numel() for p in module.parameters()) >= 30_000_000:
            return "passed", ""
        if not differing(*gradients(module, model, example)):
            return "passed", ""
        module, example = module.double(), _double(example)  # wrong, or float32's rounding at a kink: float64 tells
        found = differing(*gradients(module, from_pytorch(module, example, tolerance=1e-4, functions="derive"), example))
        said = contradicted(module, example, found)
        return ("failed", said) if said else ("passed", PYTORCH_WRONG if found else "")
    except Exception as e:
        if "-v" in sys.argv:
            traceback.print_exc()
        ops = re.findall(r"^  (\S+): \d+ times", str(e), re.M)
        return "failed", f"missing {', '.join(ops)}" if ops else f"{type(e).__name__}: {e}".splitlines()[0][:200]


def main(limit: int | None = None) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    record = Record("architectures" if limit is None else "architectures-limited", fingerprint())
    for case in itertools.islice(cases(), limit):
        start = time.time()
        outcome, why = record.judge(case[0], functools.partial(run_case, case))
        print(f"{outcome:8} {time.time() - start:6.1f} s  {case[0]}  {why[:160]}", flush=True)
        gc.collect()
    return record.finish()


if __name__ == "__main__":
    wanted = [a for a in sys.argv[1:] if a != "-v"]
    for c in cases():
        if any(re.search(w, c[0]) for w in wanted):
            print(c[0], *run_case(c), flush=True)
