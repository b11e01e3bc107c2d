import pytest

from compare.processes import environment


@pytest.mark.parametrize(
    ("cores", "jobs", "threads"), [(1, 1, 1), (2, 2, 1), (4, 4, 1), (8, 4, 2), (64, 4, 16)]
)
def test_jobs_and_threads_follow_from_the_cores(monkeypatch, cores, jobs, threads):
    monkeypatch.setattr(environment, "cores", lambda: cores)
    assert (environment.default_jobs(), environment.threads()) == (jobs, threads)


def test_peak_memory_is_in_bytes():
    assert 2**24 < environment.peak_memory() < 2**36
