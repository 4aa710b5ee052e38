"""Many small requests to a server: several at a time, since most of each is waiting."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from mzsane.zoos.downloading.connection import Connection

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK = 0.1  # seconds between two looks at how far it is


def at_once(
    connection: Connection,
    task: Callable[[Item], Result],
    items: Sequence[Item],
    watch: Callable[[int], None],
) -> list[Result]:
    """Results of a task that asks the server, for every item, in their order.

    What fails or interrupts one, or `watch`, ends all: those not begun are never begun, the others
    end with the bytes that come next, or after the connection's timeout if the server is silent.

    Args:
        connection: to the server, asked by as many threads as it says.
        task: called in one of them; asks by way of `connection`.
        items: its arguments.
        watch: called in this thread with how many have ended, whenever one has, and in between.

    Raises:
        Exception: the first that a task raised.
    """
    ended: SimpleQueue[Future[Result]] = SimpleQueue()
    with ThreadPoolExecutor(connection.at_once) as pool:
        try:
            futures = [pool.submit(task, item) for item in items]
            for future in futures:
                future.add_done_callback(ended.put)
            done = 0
            while done < len(futures):
                with suppress(Empty):
                    ended.get(timeout=_LOOK).result()
                    done += 1
                watch(done)
        except BaseException:
            connection.stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
