"""The thread that saves and exports."""

from __future__ import annotations

import threading

import pytest

from her2viewer.viewer.storage import Storage, sentence_of


@pytest.fixture
def storage(qtbot):
    made = Storage()
    yield made
    assert made.close()


def test_work_is_done_elsewhere_and_answers_come_back_to_the_main_thread(qtbot, storage):
    threads, answers = [], []
    storage.submit(
        "Counting",
        lambda: (threads.append(threading.get_ident()), 42)[1],
        done=lambda n: answers.append((n, threading.get_ident())),
    )
    qtbot.waitUntil(lambda: bool(answers))
    assert answers == [(42, threading.get_ident())]
    assert threads != [threading.get_ident()]


def test_jobs_run_in_order_and_waiting_ones_of_a_key_are_replaced(qtbot, storage):
    gate, ran = threading.Event(), []
    storage.submit("Waiting", lambda: (gate.wait(5), ran.append("first")))
    for n in range(5):
        storage.submit("Saving", lambda n=n: ran.append(n), key="annotations")
    storage.submit("Last", lambda: ran.append("last"))
    assert storage.busy
    gate.set()
    qtbot.waitUntil(lambda: not storage.busy)
    assert ran == ["first", 4, "last"]


def test_a_failure_is_a_sentence_and_the_next_job_still_runs(qtbot, storage, tmp_path):
    heard, after = [], []
    storage.failed.connect(heard.append)
    missing = tmp_path / "gone" / "case.json"
    storage.submit("Saving the case", lambda: missing.write_text("x"))
    storage.submit("Next", lambda: 1, done=after.append)
    qtbot.waitUntil(lambda: bool(after))
    assert heard == [
        f"Saving the case failed: No such file or directory ({missing}). Check the folder and the free space."
    ]


def test_an_own_handler_gets_the_sentence_instead(qtbot, storage):
    general, own = [], []
    storage.failed.connect(general.append)

    def work():
        raise ValueError("The outline has no area.")

    storage.submit("Importing", work, failed=own.append)
    qtbot.waitUntil(lambda: bool(own))
    assert own == ["Importing failed. The outline has no area."]
    assert general == []


def test_quiet_jobs_are_neither_counted_nor_reported(qtbot, storage):
    heard, done = [], []
    storage.failed.connect(heard.append)
    storage.submit("Looking", lambda: 1 / 0, quiet=True)
    assert not storage.busy
    storage.submit("Next", lambda: 1, done=done.append)
    qtbot.waitUntil(lambda: bool(done))
    assert heard == []


def test_closing_finishes_what_waits(qtbot):
    made, ran = Storage(), []
    for n in range(20):
        made.submit("Saving", lambda n=n: ran.append(n))
    assert made.close()
    assert ran == list(range(20))


def test_an_unknown_failure_names_no_internals_beyond_its_kind():
    sentence = sentence_of("Writing the report", KeyError("x"))
    assert (
        sentence == "Writing the report failed for a reason that this program does not know (KeyError); see the log."
    )


def test_draining_waits_for_work_and_its_answers(storage):
    answers = []
    for n in range(5):
        storage.submit("Counting", lambda n=n: n, done=answers.append)
    assert storage.drain()
    assert answers == [0, 1, 2, 3, 4]
    gate = threading.Event()
    storage.submit("Waiting", lambda: gate.wait(5))
    assert not storage.drain(0.05)
    gate.set()
    assert storage.drain()
