import pytest

from tests.dist.jobs import Job


@pytest.fixture
def start(tmp_path):
    """start(*script, **options) starts a Job; it is removed afterwards."""
    jobs = []

    def begin(*script, **options):
        jobs.append(Job(tmp_path, script, **options))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.remove()
