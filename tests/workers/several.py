"""Several workers in one process, for tests of what is handed out to them."""

from __future__ import annotations

from fasttext2style.workers.in_process import InProcess
from fasttext2style.workers.pieces import Tool


class Several:
    """A crew of several tools in this process that take turns; the last one to begin is the first one to end."""

    def __init__(self, *tools: Tool) -> None:
        self._members = [InProcess(tool) for tool in tools]
        self.count = len(tools)
        self._order: list[int] = []

    def hand_in(self, request):
        return request

    def handed_in(self, piece):
        return piece

    def free(self):
        return [worker for worker, member in enumerate(self._members) if member.free()]

    def begin(self, worker, piece, rows, on_step):
        self._order.append(worker)
        self._members[worker].begin(0, piece, rows, on_step)

    def wait(self, patient=True):
        if not patient:
            return []
        worker = self._order.pop()
        return [(worker, outcome) for _, outcome in self._members[worker].wait()]

    def stop(self):
        for member in self._members:
            member.stop()

    def close(self):
        pass
