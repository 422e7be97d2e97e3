"""Answers {"data": [[...], ...]}, the values of the network's input, with its output."""
import json
import os

import torch

MODEL = "model.pt"

model = None


def init():
    global model
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch.jit.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL), map_location=device).eval()


def run(raw_data):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.no_grad():
        return model(torch.tensor(json.loads(raw_data)["data"], device=device)).tolist()
