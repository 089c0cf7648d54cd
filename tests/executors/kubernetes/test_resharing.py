"""Pods at once, shared anew while jobs end: never too many, and nobody waits for ever."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.executors.kubernetes.resharing import MUCH, Going, larger_shares
from higgsdemo.executors.kubernetes.shares import share_out


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    at_once=st.integers(1, 30),
    only_idle=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_all_jobs_come_to_their_end_with_so_many_pods_and_few_requests(
    sizes: list[int], at_once: int, only_idle: bool, seed: int
) -> None:
    chance = random.Random(seed)
    left = dict(enumerate(sizes))
    share = dict(enumerate(share_out(at_once, sizes)))
    requests = ended = 0
    while any(left.values()):
        job = chance.choice([name for name in left if min(left[name], share[name])])  # a pod ends
        left[job] -= 1
        going = [Going(str(name), share[name], left[name]) for name in left if left[name]]
        now_ended = len(left) - len(going)
        more = larger_shares(at_once, going, one_ended=now_ended > ended, only_idle=only_idle)
        ended = now_ended
        for name, larger in more.items():
            assert larger > share[int(name)]
            assert not only_idle or share[int(name)] == 0
            share[int(name)] = larger
        requests += len(more)
        running = sum(min(left[name], share[name]) for name in left)
        assert running <= at_once
        if not only_idle:  # little is left lying while there is use for it
            assert running > (1 - MUCH) * at_once or running == sum(left.values())
    if only_idle:
        assert requests <= len(sizes)
    else:
        assert requests <= 2 * len(sizes)


def test_what_a_job_leaves_goes_to_the_one_that_would_take_longest() -> None:
    jobs = [Going("a", 4, 8), Going("b", 2, 20), Going("c", 2, 2)]
    assert larger_shares(10, jobs, one_ended=True) == {"b": 4}
    assert larger_shares(10, jobs, one_ended=False) == {}  # little, and soon there is more
    assert larger_shares(12, jobs, one_ended=False) == {"b": 6}
    assert larger_shares(12, jobs, one_ended=True, only_idle=True) == {}
    assert larger_shares(8, jobs, one_ended=True) == {}


def test_what_a_job_cannot_use_goes_to_those_that_have_none() -> None:
    jobs = [Going("a", 10, 4), Going("b", 0, 30), Going("c", 0, 15)]
    assert larger_shares(10, jobs, one_ended=False) == {"b": 4, "c": 2}
    unknown = [*jobs[:2], Going("c", 0, 15, can_be_told=False)]
    assert larger_shares(10, unknown, one_ended=False) == {"b": 6}
    assert larger_shares(10, [*jobs, Going("d", 9, 9, can_be_told=False)], one_ended=True) == {}
