"""What can be wrong with a model name, a profile, a question or a written answer."""


class ModelError(ValueError):
    """A model cannot be found or loaded; the message names it and the remedy, shown by the CLI."""


class QueryError(ValueError):
    """A question that cannot be asked; raised on construction, shown to the user by the CLI."""


class AnswerError(ValueError):
    """A completion that does not follow its dialect; the parser catches it and keeps it as the problem."""
