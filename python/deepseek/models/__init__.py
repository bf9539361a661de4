"""Language models, with the names that Hugging Face's checkpoints have."""

from .gpt2 import GPT2, GPT2Config
from .llama import Llama, LlamaConfig

__all__ = ["GPT2", "GPT2Config", "Llama", "LlamaConfig"]
