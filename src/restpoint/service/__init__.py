"""The service: what an actor may do with executions.

Every interface (HTTP, the command line) uses it, so each rule of access is in one place. A verb asks the policy, then calls the
store or the runner. What an actor may not see does not exist for them: the error is that of an unknown id.
"""

from restpoint.service.feed import Gap, Position
from restpoint.service.histories import BATCH, HistoryPage, Reauthenticate
from restpoint.service.service import Service
from restpoint.service.views import View

__all__ = ["BATCH", "Gap", "HistoryPage", "Position", "Reauthenticate", "Service", "View"]
