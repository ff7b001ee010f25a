"""The scoring process: ``python -m her2viewer.scoring.worker`` (or ``her2viewer --scoring-process`` when frozen).

Messages come in on standard input and go out on what was standard output; prints of a scorer go to standard error,
which the window keeps as the log.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import sys
import threading
import traceback

from her2viewer.scoring.contract import Cancelled, ScorerError
from her2viewer.scoring.frames import FrameReader, FrameWriter
from her2viewer.scoring.job import JobRequest, run_job
from her2viewer.scoring.messages import Cancel, JobCancelled, JobFailed, JobSays, Prepare, Prepared, Ready, Start
from her2viewer.scoring.model_store import find_model
from her2viewer.scoring.registry import DEVICE_SETTING, find_scorer, load_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.slides.slide import Slide, SlideError
from her2viewer.turns import work_in_the_background

OUT_OF_MEMORY = (
    "The memory of this computer was not enough for this run. Close other programs or outline a smaller region, "
    "and run again."
)


class _Worker:
    def __init__(self, reader: FrameReader, writer: FrameWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._orders: queue.SimpleQueue[Start | Prepare] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._running: tuple[int, threading.Event] | None = None
        self._slide: tuple[tuple[str, float], Slide] | None = None
        self._said: Ready | None = None

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="messages", daemon=True).start()
        self._writer.send(Ready(LocalRuntime().device))
        while True:
            order = self._orders.get()
            if isinstance(order, Start):
                self._run(order)
            elif self._orders.empty():
                self._prepare(order)

    def _listen(self) -> None:
        while True:
            try:
                message = self._reader.receive()
            except EOFError:
                # The window is gone, in whatever way: never stay behind as an orphan.
                os._exit(0)
            except Exception:
                # Without messages there is no cancel and no end.
                traceback.print_exc()
                os._exit(1)
            if isinstance(message, Start | Prepare):
                self._orders.put(message)
            elif isinstance(message, Cancel):
                with self._lock:
                    self._cancelled.add(message.job)
                    if self._running is not None and self._running[0] == message.job:
                        self._running[1].set()

    def _run(self, start: Start) -> None:
        flag, self._said = threading.Event(), None
        with self._lock:
            self._running = (start.job, flag)
            if start.job in self._cancelled:
                flag.set()
        try:
            runtime = LocalRuntime(start.request.threads, flag)
            runtime.check()
            try:
                for event in run_job(start.request, self._open(start.request), runtime):
                    if runtime.models:
                        self._runs_on(runtime)
                    self._writer.send(JobSays(start.job, event))
            finally:
                # However it ended: what the scorer still does in threads of its own, it does for nobody.
                runtime.cancel()
        except Cancelled:
            self._writer.send(JobCancelled(start.job))
        except (ScorerError, SlideError) as error:
            self._writer.send(JobFailed(start.job, str(error), traceback.format_exc()))
        except MemoryError:
            self._writer.send(JobFailed(start.job, OUT_OF_MEMORY, traceback.format_exc()))
        except OSError:
            # The pipe to the window broke; without it there is nothing to live for.
            os._exit(0)
        except Exception as error:
            sentence = (
                f"The scorer stopped on an error of its own ({type(error).__name__}: {error}). "
                "Nothing that was saved is lost; the log says where."
            )
            self._writer.send(JobFailed(start.job, sentence, traceback.format_exc()))
        finally:
            with self._lock:
                self._running = None
                self._cancelled.discard(start.job)

    def _prepare(self, order: Prepare) -> None:
        """Let a scorer prepare, and load its networks; what goes wrong here is said by the run that needs it."""
        runtime = LocalRuntime()
        with contextlib.suppress(Exception):
            manifest = find_scorer(order.scorer)
            prepare = getattr(load_scorer(manifest), "prepare", None)
            if prepare is not None:
                prepare(manifest.complete({}))
            settings = manifest.complete(order.settings)
            runtime.prefer(str(settings.get(DEVICE_SETTING, "auto")))
            for name in manifest.chosen_models(settings):
                runtime.network(find_model(manifest.id, name))
        self._writer.send(Prepared(order.scorer, runtime.device, runtime.no_gpu))

    def _runs_on(self, runtime: LocalRuntime) -> None:
        """Tell the window once in a run where it works, and when that changes."""
        now = Ready(runtime.device, runtime.no_gpu, loaded=True)
        if now != self._said:
            self._said = now
            self._writer.send(now)

    def _open(self, request: JobRequest) -> Slide:
        """The slide of a request, kept open from run to run.

        Raises:
            SlideError: it cannot be opened, or another one lies there now than the window shows.
        """
        slide = self._opened(request.slide_path)
        if slide.identity != request.slide_identity:
            name = os.path.basename(request.slide_path)
            raise SlideError(f"The file {name} has changed since it was opened. Close the slide and open it again.")
        return slide

    def _opened(self, path: str) -> Slide:
        from her2viewer.slides.open import open_slide

        with contextlib.suppress(OSError):
            key = (path, os.stat(path).st_mtime)
            if self._slide is not None and self._slide[0] == key:
                return self._slide[1]
        if self._slide is not None:
            self._slide[1].close()
            self._slide = None
        slide: Slide = open_slide(path)
        with contextlib.suppress(OSError):
            self._slide = ((path, os.stat(path).st_mtime), slide)
        return slide


def main() -> int:
    """Serve one window until it is gone."""
    incoming = os.fdopen(os.dup(0), "rb", buffering=0)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    # From here on a stray print or a chatty C library cannot corrupt the messages.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    faulthandler.enable()
    if hasattr(os, "nice"):
        # The window keeps the first right to the processor.
        with contextlib.suppress(OSError):
            os.nice(5)
    work_in_the_background()
    try:
        _Worker(FrameReader(incoming), FrameWriter(outgoing)).serve()
    except (OSError, KeyboardInterrupt):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
