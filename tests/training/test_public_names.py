"""What a script needs of the training stands at the door of the package."""


def test_the_public_names_are_those_of_their_rooms() -> None:
    from training import Example, RewardWeights, evaluate, score_completion
    from training.data import examples
    from training.evaluation.evaluate import evaluate as evaluate_here
    from training.rl import rewards

    assert Example is examples.Example
    assert evaluate is evaluate_here
    assert (RewardWeights, score_completion) == (rewards.RewardWeights, rewards.score_completion)
