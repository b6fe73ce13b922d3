"""From speech to a profile, and what that is worth.

``offline``: of a whole recording. ``live``: as it is spoken, with advice. ``automatic``: of what the microphone picks
up while a stream runs. These three stand on ``features``: what the network says of each frame, and the mean of that.
Below are ``speech``: where somebody speaks, and how loud; ``quality``: what makes a recording good enough; and
``verification``: whether two recordings are of one voice, and how far a profile can be trusted.
"""

from edge_pse.enrollment.automatic import AutoEnrollment, Gathered
from edge_pse.enrollment.live import LiveEnrollment, Progress
from edge_pse.enrollment.offline import (
    assess,
    conditioning,
    embed,
    enroll,
    extract_recording,
    extract_with_speech,
    moments_of_speech,
)
from edge_pse.enrollment.quality import EnrollmentReport
from edge_pse.enrollment.verification import Verdict, trust, verify

__all__ = [
    "AutoEnrollment",
    "EnrollmentReport",
    "Gathered",
    "LiveEnrollment",
    "Progress",
    "Verdict",
    "assess",
    "conditioning",
    "embed",
    "enroll",
    "extract_recording",
    "extract_with_speech",
    "moments_of_speech",
    "trust",
    "verify",
]
