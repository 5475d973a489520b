"""Where a text comes from: the agencies an article credits, and the origin of a cluster.

:func:`credits` reads what an article says about its sources; it never guesses. Most articles mention no
agency, and finding that out is one scan; where :mod:`dedup.core.provenance.agencies` finds a name, ``places``
decides from the words around it (``context``) whether it is a credit and where it stands: at the head of a report
(``datelines``), under a picture (``photo_credits``), at the end of a line (``line_endings``), in a phrase
(``phrases``). ``unnamed_agencies`` does so for agencies without a name.

:func:`origin` guesses, and says with what confidence: from the credits of a cluster's articles, from an
agency's own copy among them, or, weakly, from a clear first publication; otherwise the origin is unknown.
"""

from dedup.core.provenance.credit import credits
from dedup.core.provenance.credit_bits import AGENCIES, CREDITED, credit_bits, credits_of_bits
from dedup.core.provenance.origins import (
    OriginEvidence,
    agencies_of,
    agencies_of_groups,
    agency_of_source,
    origin,
)
from dedup.core.provenance.unnamed_agencies import UNNAMED

__all__ = [
    "AGENCIES",
    "CREDITED",
    "UNNAMED",
    "OriginEvidence",
    "agencies_of",
    "agencies_of_groups",
    "agency_of_source",
    "credit_bits",
    "credits",
    "credits_of_bits",
    "origin",
]
