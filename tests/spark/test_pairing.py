from __future__ import annotations

from segment_librato.bulk.outcomes import Outcome
from segment_librato.spark.pairing import Pairing


def outcomes(first: int, last: int) -> list[Outcome]:
    return [Outcome(n, str(n), "delivered", None, None, n) for n in range(first, last + 1)]


def test_a_batch_comes_when_each_of_its_rows_has_an_outcome() -> None:
    pairing: Pairing[str] = Pairing()
    for name in ("a", "b", "c"):
        pairing.add(name, 10)
    assert list(pairing.settle(outcomes(8, 12))) == []
    assert list(pairing.settle(outcomes(13, 27))) == [("b", outcomes(11, 20))]
    assert list(pairing.settle(outcomes(28, 30))) == [("c", outcomes(21, 30))]
    assert list(pairing.settle(outcomes(1, 7))) == [("a", outcomes(1, 10))]


def test_outcomes_may_complete_several_batches() -> None:
    pairing: Pairing[str] = Pairing()
    for name in ("a", "b", "c"):
        pairing.add(name, 2)
    assert list(pairing.settle(outcomes(1, 5))) == [("a", outcomes(1, 2)), ("b", outcomes(3, 4))]
    pairing.add("d", 1)
    assert list(pairing.settle(outcomes(6, 7))) == [("c", outcomes(5, 6)), ("d", outcomes(7, 7))]
