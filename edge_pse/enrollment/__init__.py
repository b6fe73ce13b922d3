"""From speech to a profile: of a recording, as it is spoken, or of what is heard anyway; and what it is worth."""

from edge_pse.enrollment.offline import EnrollmentReport, assess, conditioning, embed, enroll

__all__ = ["EnrollmentReport", "assess", "conditioning", "embed", "enroll"]
