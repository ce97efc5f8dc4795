"""PostgreSQL: a pool with deadlines, transactions, rows as Structs, violations as errors.

SQL is written where it runs, in repositories. This package only opens, bounds and translates.
"""

from shoal.database.errors import DatabaseUnavailableError, UnstorableValueError, violation_as
from shoal.database.pool import Database
from shoal.database.rows import to_struct
from shoal.database.transaction import Transaction

__all__ = ["Database", "DatabaseUnavailableError", "Transaction", "UnstorableValueError", "to_struct", "violation_as"]
