"""Personal weights: a network goes on learning one voice, on the machine of its user.

``voice``: the reading, the profile, and what comes of both. ``learner``: the process that learns, which is no part of
this package.
"""

from edge_pse.personalisation.learner import LearningProgress
from edge_pse.personalisation.voice import personalise

__all__ = ["LearningProgress", "personalise"]
