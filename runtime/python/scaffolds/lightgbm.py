"""Answers {"data": [[...], ...]}, a row a sample, with a prediction for each row."""
import json
import os

import lightgbm

MODEL = "model.txt"

booster = None


def init():
    global booster
    booster = lightgbm.Booster(model_file=os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(raw_data):
    return booster.predict(json.loads(raw_data)["data"]).tolist()
