"""A network that loses packets (full.sh runs this in a namespace where it does): slower, but every byte right."""
from fault_rounds import rounds
from reading import Background, judge, open_channel, read
from wire import rpc
from words import Model, Truth


def test_lost_packets_cost_only_time(server, tmp_path):
    model = Model(tmp_path, "m").replace()
    truth, running = Truth([model]), server(tmp_path)
    with open_channel(running.address) as channel, open_channel(running.address) as other:
        for random in rounds("two streams over a lossy network"):
            fields = random.choice([{}, {"columns": slice(1, 900, 2)}, {"checksum": True}])
            beside = Background(read, rpc.TensorStoreStub(other), "m")
            for outcome in (read(rpc.TensorStoreStub(channel), "m", **fields), beside.join()):
                assert outcome.ok, str(outcome)
                judge(truth, outcome)
