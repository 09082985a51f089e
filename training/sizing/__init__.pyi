from .dry import conventions as conventions
from .dry import dry_run as dry_run
from .dry import request_of as request_of
