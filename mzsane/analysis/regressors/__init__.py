"""What learns a property of models from features, by name."""

from mzsane.analysis.regressors.learning import Answers, Regressor, Split
from mzsane.analysis.regressors.linear import LINEAR, LOGIT_LINEAR, PENALTIES
from mzsane.analysis.regressors.network import NETWORK
from mzsane.analysis.regressors.trees import BOOSTING

REGRESSORS = {
    "linear": LINEAR,
    "logit_linear": LOGIT_LINEAR,
    "network": NETWORK,
    "boosting": BOOSTING,
}

__all__ = ["PENALTIES", "REGRESSORS", "Answers", "Regressor", "Split"]
