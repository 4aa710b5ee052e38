"""What is asked of models: each protocol says it of one method on one image set."""

from mzsane.evaluation.protocols.ensembles import Ensembles
from mzsane.evaluation.protocols.finetuned import Finetuned, Transfer
from mzsane.evaluation.protocols.protocol import Protocol
from mzsane.evaluation.protocols.refined import Refined, with_twins
from mzsane.evaluation.protocols.zero_shot import ZeroShot

__all__ = ["Ensembles", "Finetuned", "Protocol", "Refined", "Transfer", "ZeroShot", "with_twins"]
