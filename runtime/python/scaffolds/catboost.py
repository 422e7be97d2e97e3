"""Answers {"data": [[...], ...]}, a row a sample, with a prediction for each row."""
import json
import os

import catboost

MODEL = "model.cbm"

model = None


def init():
    global model
    model = catboost.CatBoost().load_model(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(raw_data):
    return model.predict(json.loads(raw_data)["data"]).tolist()
