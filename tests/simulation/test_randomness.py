from higgsdemo.simulation.randomness import sequence


def test_sequences_depend_on_seed_name_and_block_only():
    first = sequence(1, "ZZTo4mu", 0).random(4).tolist()
    assert sequence(1, "ZZTo4mu", 0).random(4).tolist() == first
    for other in ((2, "ZZTo4mu", 0), (1, "ZZTo4e", 0), (1, "ZZTo4mu", 1)):
        assert sequence(*other).random(4).tolist() != first
