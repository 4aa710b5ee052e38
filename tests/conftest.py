"""What all tests share."""

import signal

import pytest
import torch
from misbehaving import Misbehaving

# with more threads, torch's workers wait for each other on a busy machine
torch.set_num_threads(1)
# a shell that starts the tests in the background has all that they start ignore Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def server():
    """A server of files on this machine that errs when it is told to."""
    with Misbehaving() as running:
        yield running
