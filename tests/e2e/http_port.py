"""Asks the daemon's HTTP port, and reads Prometheus's text."""
import http.client
import re

LIMIT_SECONDS = 60


def get(address, path):
    """(status, body). `address` is HOST:PORT."""
    connection = http.client.HTTPConnection(address, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def address_of(server):
    """Where a started server answers HTTP."""
    return re.search(r"http_address\"?[=:]\"?([^\s\"]+)", server.log)[1]


def families(text):
    """{family: type}, after checking the text's form line by line."""
    types = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} stands twice"
            types[name] = kind
        elif not line.startswith("# HELP "):
            sample = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.e+]+)', line)
            assert sample, line
            family = re.sub(r"_(bucket|sum|count)$", "", sample[1])
            assert family in types or sample[1] in types, f"{line} has no family"
    return types


def value(text, sample):
    """The number behind `sample`, NAME or NAME{LABELS}, as it is spelled there; 0 where it is missing."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0
