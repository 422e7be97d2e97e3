"""Answers {"data": [[...], ...]}, the values of the model's first input, with all its outputs by name."""
import json
import os

import numpy
import onnxruntime

MODEL = "model.onnx"
TYPES = {
    "tensor(float)": numpy.float32,
    "tensor(double)": numpy.float64,
    "tensor(int32)": numpy.int32,
    "tensor(int64)": numpy.int64,
    "tensor(bool)": numpy.bool_,
    "tensor(string)": numpy.object_,
}

session = None


def init():
    global session
    session = onnxruntime.InferenceSession(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(raw_data):
    wanted = session.get_inputs()[0]
    values = numpy.asarray(json.loads(raw_data)["data"], dtype=TYPES[wanted.type])
    answers = session.run(None, {wanted.name: values})
    return {output.name: as_list(answer) for output, answer in zip(session.get_outputs(), answers)}


def as_list(answer):
    return answer.tolist() if isinstance(answer, numpy.ndarray) else answer
