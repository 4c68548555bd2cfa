"""What a server is doing for its streams, as its own counters tell."""
import time

import http_port
from processes import wait_until

HTTP = ("--http-listen", "127.0.0.1:0")  # Flags of a server that is to be asked.
QUIET_SECONDS = 0.3  # Far above what one message takes.


def metrics(server):
    return http_port.get(http_port.address_of(server), "/metrics")[1]


def total(server, family):
    """The sum of a family's samples."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics(server).splitlines()
               if line.startswith((f"{family} ", f"{family}{{")))


def wait_for_rest(server):
    """Returns once no stream runs, and demands that nothing is sent from then on."""
    wait_until(lambda: total(server, "tensord_streams_active") == 0, "no stream runs")
    sent = total(server, "tensord_sent_bytes_total")
    time.sleep(QUIET_SECONDS)
    assert (total(server, "tensord_streams_active"), total(server, "tensord_sent_bytes_total")) == (0, sent), "work goes on"
