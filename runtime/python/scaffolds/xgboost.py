"""Answers {"data": [[...], ...]}, a row a sample, with a prediction for each row."""
import json
import os

import numpy
import xgboost

MODEL = "model.json"

booster = None


def init():
    global booster
    booster = xgboost.Booster(model_file=os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(raw_data):
    rows = numpy.asarray(json.loads(raw_data)["data"], dtype="float32")
    return booster.inplace_predict(rows).tolist()
