"""scikit-learn with n_jobs=2: cross validation, a grid search, a forest, a pipeline."""

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main():
    x, y = make_classification(400, 8, random_state=1)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_score(model, x, y, cv=4, n_jobs=2)
    print(np.round(scores, 4).tolist(), np.allclose(scores, cross_val_score(model, x, y, cv=4)))
    search = GridSearchCV(model, {"logisticregression__C": [0.01, 0.1, 1, 10]}, cv=3, n_jobs=2).fit(x, y)
    print(search.best_params_, round(search.best_score_, 4))
    forest = RandomForestClassifier(20, n_jobs=2, random_state=2).fit(x, y)
    print(round(forest.score(x, y), 4), round(cross_val_score(forest, x, y, cv=2, n_jobs=2).mean(), 4))
    try:
        cross_val_score(model, x, y[:10], n_jobs=2)
    except ValueError as e:
        print(str(e)[:40])


if __name__ == "__main__":
    main()
