"""What a credential turns out to be."""

from msgspec import Struct

from shoal.identity import Principal


class Resolved(Struct, frozen=True):
    """Who came with a credential, and for how many seconds it is good as things stand."""

    principal: Principal
    good_for_s: float
