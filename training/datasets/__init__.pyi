from .coco_masks import decode_rle as decode_rle
from .open import read_examples as read_examples
from .options import Choices as Choices
from .options import Phrasing as Phrasing
from .options import Questions as Questions
