"""Answers {"data": [[...], ...]}, the values of the network's input, with its output."""
import json
import os

import torch

MODEL = "model.pt"

model = None


def init():
    global model
    # Loading a whole network runs code that its file names: deploy only what you trained yourself.
    loaded = torch.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL), map_location="cpu", weights_only=False)
    if not isinstance(loaded, torch.nn.Module):
        raise RuntimeError(MODEL + " holds weights only: build the network here, then call load_state_dict on it")
    model = loaded.eval()


def run(raw_data):
    with torch.no_grad():
        return model(torch.tensor(json.loads(raw_data)["data"])).tolist()
