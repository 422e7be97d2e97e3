"""Answers {"data": [[...], ...]}, the values of the network's input, with its predictions."""
import json
import os

import numpy
import tensorflow

MODEL = "model.h5"

model = None


def init():
    global model
    model = tensorflow.keras.models.load_model(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(raw_data):
    values = numpy.asarray(json.loads(raw_data)["data"], dtype="float32")
    return model.predict(values, verbose=0).tolist()
