"""What the panel knows of a stream, where several threads ask at once."""

import threading

from edge_pse.panel.watch import Watch


class SlowAtFirst:
    """A stream whose first answer is on its way for long; each answer is how many were asked for before."""

    def __init__(self):
        self.asked, self.first_may_go = 0, threading.Event()

    def status(self):
        number, self.asked = self.asked, self.asked + 1
        if number == 0:
            self.first_may_go.wait(10)
        return {"number": number}


def test_an_older_answer_does_not_take_the_place_of_a_newer_one(home):
    stream = SlowAtFirst()
    watch = Watch(stream, lambda: None)
    threads = [threading.Thread(target=watch.look) for _ in range(2)]
    for thread in threads:
        thread.start()
    threads[1].join(0.5)  # it waits for the first one, or is done with a newer answer
    stream.first_may_go.set()
    for thread in threads:
        thread.join(10)
    assert watch.known["status"] == {"number": 1}
