"""One allowance for several processes, whoever keeps it: what its integrations have in common.

SharedLimit   the limiter of a process; a subclass says how to ask the keeper
Allowance     what the keeper answers: arithmetic that knows no clock
Ask, Answer   what they tell each other, as plain data
"""

from .allowance import OTHER_RATE, Allowance, Answer, Ask
from .limit import SharedLimit

__all__ = ["OTHER_RATE", "Allowance", "Answer", "Ask", "SharedLimit"]
