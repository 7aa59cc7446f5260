"""The reference script with its model under torch.compile: compiled_peer.py SCRIPT [its arguments]."""
import importlib.util
import sys

import torch

spec = importlib.util.spec_from_file_location("reference_train", sys.argv[1])
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)
reference.gpt2 = torch.compile(reference.gpt2)
sys.argv = sys.argv[1:]
reference.main()
