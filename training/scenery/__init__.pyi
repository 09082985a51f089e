from .pool import PoolRecipe as PoolRecipe
from .pool import draw_pool as draw_pool
from .practice import write_practice as write_practice
