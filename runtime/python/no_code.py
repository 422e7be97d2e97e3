"""The scoring script of deployments without one: scikit-learn, ONNX, TensorFlow SavedModel and MLflow models.

AKSML_NO_CODE says which of them it serves. A request body is JSON and nothing else; it is never unpickled. Runs on Python 3.6 and newer.
"""

import base64
import datetime
import json
import math
import os

FRAMEWORK = os.environ.get("AKSML_NO_CODE", "")
served = None


class BadInput(Exception):
    """The request cannot be scored; the message is for its sender."""


def init():
    global served
    served = LOADERS[FRAMEWORK](model_folder())


def run(raw_data):
    try:
        return plain(served.score(parse_body(raw_data)))
    except BadInput as error:
        return bad_request(str(error))


def bad_request(message):
    from azureml_inference_server_http.api.aml_response import AMLResponse

    return AMLResponse({"message": message}, 400, json_str=True)


def model_folder():
    return os.environ.get("AZUREML_MODEL_DIR", ".")


def find_files(folder, accepts):
    """Files below the model folder for which the test holds, those nearest to its top first."""
    found = [
        os.path.join(directory, name)
        for directory, _, names in os.walk(folder, followlinks=True)
        for name in names
        if accepts(name)
    ]
    return sorted(found, key=lambda path: (path.count(os.sep), path))


def only_file(folder, accepts, what):
    found = find_files(folder, accepts)
    if not found:
        raise FileNotFoundError("There is no %s in %s." % (what, folder))
    return found[0]


# ---- requests


class Request:
    """Rows as the client sent them: `form` is the key they stood under, `columns` are their names where it gave any."""

    def __init__(self, form, rows, columns=None, index=None, body=None):
        self.form = form
        self.rows = rows
        self.columns = columns
        self.index = index
        self.body = body if isinstance(body, dict) else {}

    def frame(self, default_columns=None):
        import pandas

        columns = self.columns or default_columns
        try:
            return pandas.DataFrame(self.rows, columns=columns, index=self.index)
        except (ValueError, TypeError, AssertionError) as error:
            raise BadInput("The data is not a table: %s" % error)

    def array(self, dtype=None):
        import numpy

        try:
            return numpy.asarray(self.rows, dtype=dtype)
        except (ValueError, TypeError) as error:
            raise BadInput("The data is not an array of numbers: %s" % error)

    def is_table(self):
        return self.columns is not None or is_records(self.rows)


FORMS = ("input_data", "data", "dataframe_split", "dataframe_records", "instances", "inputs")


def parse_body(raw_data):
    try:
        body = json.loads(raw_data)
    except ValueError as error:
        raise BadInput("The request body is not JSON: %s" % error)
    if isinstance(body, list):
        return Request("array", body)
    if not isinstance(body, dict):
        raise BadInput("The request body must be a JSON object or array.")
    for form in FORMS:
        if form in body:
            return parse_form(form, body[form], body)
    raise BadInput('The request body has none of the keys %s; the usual form is {"data": [[...], ...]}.' % ", ".join(FORMS))


def parse_form(form, value, body):
    if isinstance(value, dict) and "data" in value and form not in ("inputs", "instances"):
        return Request(form, value["data"], value.get("columns"), value.get("index"), body)
    if isinstance(value, (list, dict)):
        return Request(form, value, body=body)
    raise BadInput('"%s" must be an array or an object.' % form)


def is_records(rows):
    return isinstance(rows, list) and len(rows) > 0 and all(isinstance(row, dict) for row in rows)


# ---- answers


def plain(value):
    """The value as JSON can carry it: numpy and pandas become lists, what is no finite number becomes null."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return plain(value.to_dict(orient="records"))
    for method in ("toarray", "tolist", "numpy"):
        if hasattr(value, method):
            return plain(getattr(value, method)())
    return str(value)


# ---- scikit-learn


class ScikitLearn:
    SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav", ".model")
    METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")

    def __init__(self, folder):
        import joblib

        path = only_file(folder, lambda name: name.lower().endswith(self.SUFFIXES), "joblib or pickle file")
        self.model = joblib.load(path)

    def score(self, request):
        method = request.body.get("method", "predict")
        if method not in self.METHODS or not hasattr(self.model, method):
            known = [name for name in self.METHODS if hasattr(self.model, name)]
            raise BadInput('The model has no method "%s"; it has %s.' % (method, ", ".join(known)))
        rows = request.frame() if request.is_table() else request.array()
        try:
            result = getattr(self.model, method)(rows)
        except ValueError as error:
            raise BadInput("The model refuses the data: %s" % error)
        # v1 answered {"data": …} with the method's name as key.
        return {method: result} if request.form == "data" else result


# ---- ONNX


class Onnx:
    # Names of ONNX Runtime's types, and the numbers and JSON fields of TensorProto, which v1's ONNX Runtime server spoke.
    TYPES = {
        "tensor(float)": ("float32", 1, "floatData"),
        "tensor(uint8)": ("uint8", 2, "int32Data"),
        "tensor(int8)": ("int8", 3, "int32Data"),
        "tensor(uint16)": ("uint16", 4, "int32Data"),
        "tensor(int16)": ("int16", 5, "int32Data"),
        "tensor(int32)": ("int32", 6, "int32Data"),
        "tensor(int64)": ("int64", 7, "int64Data"),
        "tensor(bool)": ("bool", 9, "int32Data"),
        "tensor(float16)": ("float16", 10, "int32Data"),
        "tensor(double)": ("float64", 11, "doubleData"),
        "tensor(uint32)": ("uint32", 12, "uint64Data"),
        "tensor(uint64)": ("uint64", 13, "uint64Data"),
    }

    def __init__(self, folder):
        import onnxruntime

        path = only_file(folder, lambda name: name.lower().endswith(".onnx"), ".onnx file")
        self.session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        self.inputs = self.session.get_inputs()
        self.outputs = [output.name for output in self.session.get_outputs()]

    def score(self, request):
        tensors = request.form == "inputs" and isinstance(request.rows, dict) and all(map(is_tensor, request.rows.values()))
        feed = self.tensor_feed(request.rows) if tensors else self.feed(request)
        try:
            results = self.session.run(None, feed)
        except Exception as error:
            raise BadInput("The model refuses the data: %s" % error)
        if tensors:
            return {"outputs": {name: tensor_of(value) for name, value in zip(self.outputs, results)}}
        return results[0] if len(results) == 1 else dict(zip(self.outputs, results))

    def feed(self, request):
        if isinstance(request.rows, dict):
            return {known.name: self.cast(known, self.value_of(request.rows, known.name)) for known in self.inputs}
        if len(self.inputs) == 1:
            known = self.inputs[0]
            rows = request.frame().values.tolist() if request.is_table() else request.rows
            return {known.name: self.cast(known, rows)}
        frame = request.frame([known.name for known in self.inputs])
        missing = [known.name for known in self.inputs if known.name not in frame.columns]
        if missing:
            raise BadInput("The model's inputs %s are missing." % ", ".join(missing))
        return {known.name: self.cast(known, [[value] for value in frame[known.name].tolist()]) for known in self.inputs}

    @staticmethod
    def value_of(rows, name):
        if name not in rows:
            raise BadInput('The model\'s input "%s" is missing.' % name)
        return rows[name]

    def cast(self, known, rows):
        import numpy

        dtype = self.TYPES[known.type][0] if known.type in self.TYPES else object
        try:
            array = numpy.asarray(rows, dtype=dtype)
        except (ValueError, TypeError) as error:
            raise BadInput('The model\'s input "%s" (%s) cannot be made of the data: %s' % (known.name, known.type, error))
        # One row may come without the axis that counts rows.
        return array[numpy.newaxis] if array.ndim == len(known.shape) - 1 else array

    def tensor_feed(self, tensors):
        import numpy

        feed = {}
        for known in self.inputs:
            tensor = self.value_of(tensors, known.name)
            dtype, _, field = self.TYPES.get(known.type, ("object", 8, "stringData"))
            try:
                if "rawData" in tensor:
                    values = numpy.frombuffer(base64.b64decode(tensor["rawData"]), dtype=numpy.dtype(dtype).newbyteorder("<"))
                else:
                    values = numpy.asarray([float(value) if dtype.startswith("float") else int(value) for value in tensor[field]])
                feed[known.name] = values.astype(dtype).reshape([int(size) for size in tensor.get("dims", [])])
            except (KeyError, ValueError, TypeError) as error:
                raise BadInput('The tensor "%s" cannot be read: %s' % (known.name, error))
        return feed


def is_tensor(value):
    return isinstance(value, dict) and "dims" in value


def tensor_of(value):
    """A result as ONNX Runtime's server wrote it: TensorProto in JSON, 64-bit numbers as strings."""
    import numpy

    array = numpy.asarray(value)
    numbers = {numpy.dtype(dtype): number for dtype, number, _ in Onnx.TYPES.values()}
    if array.dtype not in numbers:
        return array
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return {
        "dims": [str(size) for size in array.shape],
        "dataType": numbers[array.dtype],
        "rawData": base64.b64encode(raw).decode("ascii"),
    }


# ---- TensorFlow


class TensorFlow:
    # The answers' keys of TensorFlow Serving, which served these models in v1.
    ANSWERS = {"instances": "predictions", "inputs": "outputs"}

    def __init__(self, folder):
        import tensorflow

        path = only_file(folder, lambda name: name == "saved_model.pb", "SavedModel (saved_model.pb)")
        self.tensorflow = tensorflow
        # Kept, because its functions do not keep it alive.
        self.model = tensorflow.saved_model.load(os.path.dirname(path))
        self.function = self.model.signatures["serving_default"]
        self.inputs = self.function.structured_input_signature[1]

    def score(self, request):
        results = self.function(**{name: self.tensor(request, name, spec) for name, spec in self.inputs.items()})
        values = {name: value.numpy() for name, value in results.items()}
        answer = next(iter(values.values())) if len(values) == 1 else values
        key = self.ANSWERS.get(request.form)
        return answer if key is None else {key: answer}

    def tensor(self, request, name, spec):
        rows = request.rows
        if isinstance(rows, dict) and name in rows:
            rows = rows[name]
        elif is_records(rows) and all(name in row for row in rows):
            rows = [row[name] for row in rows]
        elif len(self.inputs) > 1:
            raise BadInput('The model\'s input "%s" is missing.' % name)
        try:
            return self.tensorflow.convert_to_tensor(rows, dtype=spec.dtype)
        except (ValueError, TypeError) as error:
            raise BadInput('The model\'s input "%s" cannot be made of the data: %s' % (name, error))


# ---- MLflow


class MLflow:
    # Keys of MLflow's own protocol, which answers them with "predictions".
    OWN_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")

    def __init__(self, folder):
        root = os.path.dirname(only_file(folder, lambda name: name == "MLmodel", "MLmodel file"))
        try:
            import mlflow.pyfunc
        except ImportError:
            self.predict, self.columns, self.refusals = native_mlflow(root)
            self.schema = None
            return
        model = mlflow.pyfunc.load_model(root)
        self.schema = model.metadata.get_input_schema()
        self.predict = model.predict
        self.columns = self.schema.input_names() if self.schema is not None and self.schema.has_input_names() else None
        self.refusals = (mlflow.exceptions.MlflowException, ValueError)

    def score(self, request):
        rows = self.rows_of(request)
        try:
            result = self.predict(rows)
        except self.refusals as error:
            raise BadInput("The model refuses the data: %s" % str(error)[:1000])
        return {"predictions": result} if request.form in self.OWN_FORMS else result

    def rows_of(self, request):
        is_tensor_model = self.schema is not None and self.schema.is_tensor_spec()
        if is_tensor_model and isinstance(request.rows, dict):
            import numpy

            return {name: numpy.asarray(value) for name, value in request.rows.items()}
        if is_tensor_model or (self.columns is None and not request.is_table()):
            return request.array(self.schema.inputs[0].type if is_tensor_model else None)
        frame = request.frame(None if is_records(request.rows) else self.columns)
        for column in [] if self.schema is None else self.schema.inputs:
            if column.name in frame.columns:
                frame[column.name] = cast_column(frame[column.name], getattr(column.type, "name", ""))
        return frame


# By the types of MLflow's schemas.
COLUMN_TYPES = {
    "double": "float64",
    "float": "float32",
    "integer": "int32",
    "string": "object",
    "datetime": "datetime64[ns]",
}


def cast_column(values, wanted):
    """JSON knows fewer types than MLflow's schemas, which refuse what is not exactly theirs. Left alone: what would lose something."""
    if wanted == "binary":
        import base64

        return values.map(lambda value: base64.b64decode(value) if isinstance(value, str) else value)
    try:
        cast = values.astype(COLUMN_TYPES.get(wanted, values.dtype))
    except (TypeError, ValueError):
        return values
    return values if wanted == "integer" and not (cast == values).all() else cast


def native_mlflow(root):
    """Without mlflow installed: the flavors whose files other libraries read."""
    import yaml

    with open(os.path.join(root, "MLmodel"), encoding="utf-8") as file:
        metadata = yaml.safe_load(file)
    flavor = metadata.get("flavors", {}).get("sklearn")
    if flavor is None or flavor.get("serialization_format") == "skops":
        raise ImportError("mlflow is not installed; without it only scikit-learn models that were pickled are served.")
    import joblib

    signature = json.loads((metadata.get("signature") or {}).get("inputs") or "[]")
    names = [column["name"] for column in signature if "name" in column]
    model = joblib.load(os.path.join(root, flavor["pickled_model"]))
    return model.predict, names or None, (ValueError,)


LOADERS = {"ScikitLearn": ScikitLearn, "Onnx": Onnx, "TensorFlow": TensorFlow, "MLflow": MLflow}
