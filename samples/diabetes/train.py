"""Trains the sample model and writes it to the given file. Deterministic: the same packages give the same model."""
import sys

import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

features, target = load_diabetes(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(features, target, test_size=0.2, random_state=0)
model = Ridge(alpha=0.03).fit(x_train, y_train)
joblib.dump(model, sys.argv[1])
print(f"trained on {len(x_train)} patients, R2 {model.score(x_test, y_test):.3f} on {len(x_test)} others")
