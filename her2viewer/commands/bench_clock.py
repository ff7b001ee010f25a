"""The program's time in a measurement."""

from __future__ import annotations

import math
import time

from PySide6.QtCore import QCoreApplication, QEventLoop, Qt, QTimer


def pass_time(milliseconds: int) -> None:
    """Let the program work for so long."""
    loop = QEventLoop()
    alarm = QTimer(loop)
    alarm.setTimerType(Qt.TimerType.PreciseTimer)
    alarm.setSingleShot(True)
    alarm.timeout.connect(loop.quit)
    alarm.start(milliseconds)
    loop.exec()


def until(application: QCoreApplication, moment: float) -> None:
    """Let the program work until ``moment`` of ``time.perf_counter``, to less than a millisecond."""
    left = math.floor(1000 * (moment - time.perf_counter()))
    if left > 0:
        pass_time(left)
    while time.perf_counter() < moment:
        application.processEvents()
