"""Answers {"data": [[...], ...]}, a row a sample, with a prediction for each row."""
import json
import os

import joblib

MODEL = "model.pkl"

model = None


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(raw_data):
    rows = json.loads(raw_data)["data"]
    return model.predict(rows).tolist()
