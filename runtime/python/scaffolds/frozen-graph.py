"""Answers {"data": [...]}: the graph's first placeholder takes it, and its last operation answers."""
import json
import os

import tensorflow

MODEL = "model.pb"

session = None
feed = None
fetch = None


def init():
    global session, feed, fetch
    v1 = tensorflow.compat.v1
    definition = v1.GraphDef()
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL), "rb") as file:
        definition.ParseFromString(file.read())
    graph = tensorflow.Graph()
    with graph.as_default():
        v1.import_graph_def(definition, name="")
    operations = graph.get_operations()
    feed = next(operation for operation in operations if operation.type == "Placeholder").outputs[0]
    fetch = operations[-1].outputs[0]
    session = v1.Session(graph=graph)


def run(raw_data):
    return session.run(fetch, {feed: json.loads(raw_data)["data"]}).tolist()
