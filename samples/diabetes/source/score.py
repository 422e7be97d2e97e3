"""Predicts the progression of diabetes from ten measurements: the v1 contract of init() and run()."""
import json
import os

import joblib

model = None


def init():
    global model
    folder = os.environ["AZUREML_MODEL_DIR"]
    model = joblib.load(os.path.join(folder, "diabetes.pkl"))


def run(raw_data):
    rows = json.loads(raw_data)["data"]
    return [round(value, 2) for value in model.predict(rows).tolist()]
