from .journal import NIGHT as NIGHT
from .journal import night_is_open as night_is_open
from .nightly import NightReport as NightReport
from .nightly import run_nightly as run_nightly
from .nightly import today as today
from .run import RunReport as RunReport
from .run import model_recipe as model_recipe
from .run import run_job as run_job
