"""The scalar types of the contracts, as the wire knows them."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

NonEmpty = Annotated[str, Meta(min_length=1)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**32 - 1)]
Timestamp = Annotated[datetime, Meta(tz=True)]
