from .journal import JOURNAL_FOLDER as JOURNAL_FOLDER
from .journal import journal_is_open as journal_is_open
from .nightly import UpdateReport as UpdateReport
from .nightly import run_nightly as run_nightly
from .nightly import today as today
from .run import RunReport as RunReport
from .run import run_job as run_job
from .work import chunk_step as chunk_step
